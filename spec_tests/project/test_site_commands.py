"""Every command on the site runs, a page's one after another, without a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from spec_tests.make_example import random_checkpoint, write_video
from spec_tests.project.test_docs import PAGES, ROOT, blocks
from spec_tests.project.tiny import CONFIG
from timesformer_ref.checkpoints import save_checkpoint

ELSEWHERE = {
    "python3 -m venv .venv": ".ci/run does what the README says",
    ".venv/bin/python -m pytest": ".ci/run",
    ".venv/bin/python .ci/versions.py": ".ci/run",
    "python .ci/versions.py": ".ci/run",
    ".venv/bin/python docs/generate.py": ".ci/run, which builds where this serves",
    ".venv/bin/python -m spec_tests.mutants": ".ci/run",
    ".venv/bin/python -m spec_tests.matrix": ".ci/run",
    "python -m spec_tests.matrix": ".ci/run",
    "python -m spec_tests.diagnosis": "test_diagnosis; in full it takes hours",
    "pytest spec_tests --port mutant:gelu-tanh": "test_report",
    "pytest spec_tests --published": "test_published",
    "make -C spec_tests/ports/c_port": "spec_tests.matrix, in .ci/run",
    "timesformer-ref conform 'cmd:node spec_tests": "spec_tests.matrix, in .ci/run",
    "pip install -e '.[test,jax]'": "spec_tests.matrix, in .ci/run",
    "python - <<'END'\nimport random": "mutmut, which the gate does without",
    "timesformer-ref vectors ": "test_vectors, with both checks",
    "timesformer-ref conform my_port.py  ": "test_conform and test_command_port",
    "python -m docs.camera_motion.train run --accumulate": (
        "test_camera_motion_model; in full it takes an hour"
    ),
    "python -m docs.making.waking": "test_experiment; in full it takes minutes",
    "sed 's/import numpy/import jax": "test_example_port; in full it takes minutes",
    "bench() { timesformer-ref bench": "test_bench; in full it takes half an hour",
    "timesformer-ref bench --device cuda": "none: it needs a GPU",
    "accelerate launch --multi_gpu --num_machines 2": "none: it needs two machines",
    "#!/bin/bash\n#SBATCH": "none: it needs a cluster",
}
"""Commands that are not run here, by how they start, and what runs them."""

OF_OTHER_KINDS = {
    "py": "test_report runs it",
    "csv": "a list of videos",
    "bibtex": "how to cite the paper",
    "math": "a formula",
}
"""Languages of blocks that are neither commands nor Python."""

INSTEAD = {
    "facebook/timesformer-base-finetuned-k400": "TimeSformer_divST_8x32_224_K400.pyth",
    "-c …": "-c TimeSformer_divST_8x32_224_K400.pyth",
    "accelerate launch --multi_gpu --num_processes 8": "accelerate launch --cpu --num_processes 2",
    "torchrun --nproc_per_node 8": "ACCELERATE_USE_CPU=true torchrun --nproc_per_node 2",
    "--validation photos/val --out trained": "--validation photos/val --out trained --epochs 1",
    "docs/examples/port/my_port.py\n": "docs/examples/port/my_port.py -- -k test_mlp\n",
    "docs.camera_motion.train small\n": "docs.camera_motion.train small --steps 2 --batch 4\n",
}
"""What stands for a download, hours, eight GPUs, and the suite that test_example_port runs whole.

All other commands run as they stand."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="needs the checkout"),
]


def commands(page: Path) -> list[str]:
    """The page's blocks of commands that are run here."""
    return [block for block in blocks(page, "sh") if not block.startswith(tuple(ELSEWHERE))]


def set_up(room: Path) -> None:
    """A folder in which the pages' commands find what they name."""
    for name in ("docs", "spec_tests", "timesformer_ref"):
        (room / name).symlink_to(ROOT / name)
    (room / "build").mkdir()
    checkpoint = random_checkpoint(replace(CONFIG, num_labels=2))
    save_checkpoint(checkpoint, room / "TimeSformer_divST_8x32_224_K400.pyth")
    for part in ("train", "val", "test"):
        for label in ("dancing", "swimming"):
            (room / "videos" / part / label).mkdir(parents=True)
            write_video(room / "videos" / part / label / "1.mp4", 40, 48, 64)
    for name in ("video.mp4", "new.mp4"):
        write_video(room / name)
    (room / "videos.csv").write_text("path\nvideo.mp4\nnew.mp4\n")


@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=lambda p: p.stem)
def test_the_commands_of_a_page_run(page, tmp_path):
    set_up(tmp_path)
    script = re.sub("^pip install .*\n", "", "".join(commands(page)), flags=re.MULTILINE)
    for written, run in INSTEAD.items():
        script = script.replace(written, run)
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-euxc", script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_what_is_not_run_as_it_stands_is_on_a_page():
    written = "".join("".join(blocks(page, "sh")) for page in PAGES)
    assert [part for part in (*ELSEWHERE, *INSTEAD) if part not in written] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_every_block_is_run_or_written_by_a_command(page):
    found = re.findall(
        r"^ *```(\w*)\n(.*?)^ *```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    typed = {language for language, text in found if "--8<--" not in text}
    assert typed <= {"sh", "python", *OF_OTHER_KINDS}


def test_the_extras_that_pages_install_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for page in PAGES:
        for extras in re.findall(r"pip install .*\[([\w,]+)\]", page.read_text("utf-8")):
            assert set(extras.split(",")) <= set(project["optional-dependencies"]), page.name
