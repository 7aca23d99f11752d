"""What the JavaScript port has beyond the interface: attention weights, and that it runs in a page.

The suite judges the port itself (`spec_tests.matrix`)."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save_file

from spec_tests.harness.cases import Case
from spec_tests.harness.command_port import CommandPort
from spec_tests.matrix import JAVASCRIPT_PORT, PORTS
from spec_tests.project.site_browser import complaints, need, served
from timesformer_ref import default_model, load_checkpoint
from timesformer_ref.checkpoints.choosing import choose_preprocessing
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.input.video import cut, read_clip
from timesformer_ref.numpy_blocks.model import forward
from timesformer_ref.schemes import SCHEMES

ASSETS = Path(__file__).parents[2] / "docs" / "assets"
EXAMPLE = ASSETS / "example.mp4"
CONFIG = TimeSformerConfig(
    image_size=8, patch_size=2, num_channels=1, num_frames=2, hidden_size=12, num_hidden_layers=2,
    num_attention_heads=3, intermediate_size=8, num_labels=2,
)  # fmt: skip

IN_A_PAGE = """
const done = arguments[0];
async function classify() {
  const [{ readCheckpoint }, { forward }, { parse }] = await Promise.all(
    ["checkpoint", "model", "safetensors"].map((name) => import(`/port/${name}.js`)));
  const [model, clip] = await Promise.all(
    ["/model.safetensors", "/clip.safetensors"].map(async (a) => (await fetch(a)).arrayBuffer()));
  const { weights, config, labels } = readCheckpoint(model);
  const { logits } = forward(parse(clip).tensors.input, weights, config);
  return { logits: [...logits.data], labels };
}
classify().then(done, (error) => done({ error: error.stack }));
"""


@pytest.fixture(scope="module")
def javascript():
    need(shutil.which("node"), "node")
    port = CommandPort(PORTS["javascript"].place.removeprefix("cmd:"), 60)
    yield port
    port.close()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_attention_weights_of_each_step_are_those_of_numpy(javascript, scheme):
    """In the order of NumPy's groups, heads and tokens; the clip is resized, and not square."""
    case = Case(replace(CONFIG, attention_type=scheme), (2, 4, 1, 4, 8))
    request = {"function": "attentions", "config": json.dumps(asdict(case.config))}
    weights = {name: np.float32(weight) for name, weight in case.weights.items()}
    found, _ = javascript._exchange(
        javascript._file_of(weights), request, {"input": np.float32(case.video)}
    )
    output = forward(case.video, case.weights, case.config, output_attentions=True)
    expected = {
        f"blocks.{i}.{step}": attention
        for i, steps in enumerate(output.attentions)
        for step, attention in steps.items()
    }
    assert found.keys() == expected.keys()
    for name, attention in expected.items():
        assert found[name].shape == attention.shape
        np.testing.assert_allclose(found[name], attention, rtol=0, atol=1e-5, err_msg=name)


VIEWS = """
import { readFileSync } from "node:fs";
import { load, view } from "./live/model.js";
import { parse, serialise } from "./port/safetensors.js";

const bytes = (file) => readFileSync(file).buffer;
const model = load(bytes("model.safetensors")), tensors = {};
const frames = Object.entries(parse(bytes("frames")).tensors);
for (const [name, { shape: [height, width], data }] of frames)
  tensors[name] = { shape: [3, 24, 24], data: view(model, { data, width, height }) };
process.stdout.write(Buffer.concat(serialise({ tensors })));
"""
SIZES = [(240, 240), (360, 640), (321, 97), (24, 40), (17, 31)]
"""Frames: a square, a video, upright, as large as the crop and smaller."""


def test_the_page_sees_of_a_frame_what_the_command_sees(tmp_path):
    """The small model's crop, for which a frame is shrunk with antialiasing, in Node.

    The command has the place of a pixel in float32: up to 640, off by 3e-5 of a pixel, of the 27
    that it averages there, whose numbers differ by 4.4 at most. So the answers are within 1e-5.
    """
    need(shutil.which("node"), "node")
    preprocessing = choose_preprocessing(load_checkpoint(default_model.NAME))
    rng = np.random.default_rng(18)
    frames = {f"{h} x {w}": rng.integers(0, 256, (h, w, 4), np.uint8) for h, w in SIZES}
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "views.js").write_text(VIEWS)
    shutil.copytree(JAVASCRIPT_PORT, tmp_path / "port")
    shutil.copytree(ASSETS / "live", tmp_path / "live")
    shutil.copy(default_model.FILE, tmp_path / "model.safetensors")
    save_file(frames, tmp_path / "frames")
    command = ["node", "views.js"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    for name, found in load(done.stdout).items():
        assert np.ptp(found) > 0.1
        (expected,) = cut(np.ascontiguousarray(frames[name][..., :3]), preprocessing)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.site
def test_it_classifies_in_a_page_as_numpy_does(tmp_path, process):
    loaded = load_checkpoint(default_model.NAME)
    clip = read_clip(EXAMPLE, choose_preprocessing(loaded)).video
    (tmp_path / "index.html").write_text(
        "<!doctype html><title>A page</title><link rel=icon href=data:,>"
    )
    (tmp_path / "port").symlink_to(JAVASCRIPT_PORT)
    (tmp_path / "model.safetensors").symlink_to(default_model.FILE)
    save_file({"input": np.ascontiguousarray(clip)}, tmp_path / "clip.safetensors")
    with served(tmp_path) as address:
        complaints(process, address)
        process.get(address)
        found = process.execute_async_script(IN_A_PAGE)
        assert "error" not in found, found["error"]
        assert complaints(process, address) == []
    expected = forward(np.float64(clip), loaded.arrays(np.float64), loaded.config).logits.ravel()
    np.testing.assert_allclose(found["logits"], expected, atol=1e-4)
    assert found["labels"] == list(loaded.labels)
