"""What the JavaScript port has beyond the interface: attention weights, and that it runs in a page.

The suite judges the port itself (`spec_tests.matrix`)."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from spec_tests.harness.cases import Case
from spec_tests.harness.command_port import CommandPort
from spec_tests.matrix import JAVASCRIPT_PORT, PORTS
from spec_tests.project.site_browser import chromium, complaints, need, served
from timesformer_ref import default_model, load_checkpoint
from timesformer_ref.checkpoints.choosing import choose_preprocessing
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.input.video import read_clip
from timesformer_ref.numpy_blocks.model import forward
from timesformer_ref.schemes import SCHEMES

EXAMPLE = Path(__file__).parents[2] / "docs" / "assets" / "example.mp4"
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


@pytest.mark.site
def test_it_classifies_in_a_page_as_numpy_does(tmp_path):
    loaded = load_checkpoint(default_model.NAME)
    clip = read_clip(EXAMPLE, choose_preprocessing(loaded)).video
    (tmp_path / "index.html").write_text(
        "<!doctype html><title>A page</title><link rel=icon href=data:,>"
    )
    (tmp_path / "port").symlink_to(JAVASCRIPT_PORT)
    (tmp_path / "model.safetensors").symlink_to(default_model.FILE)
    save_file({"input": np.ascontiguousarray(clip)}, tmp_path / "clip.safetensors")
    with served(tmp_path) as address, chromium() as browser:
        browser.get(address)
        found = browser.execute_async_script(IN_A_PAGE)
        assert "error" not in found, found["error"]
        assert complaints(browser, address) == []
    expected = forward(np.float64(clip), loaded.arrays(np.float64), loaded.config).logits.ravel()
    np.testing.assert_allclose(found["logits"], expected, atol=1e-4)
    assert found["labels"] == list(loaded.labels)
