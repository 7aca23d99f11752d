"""Vectors: what is written, and that a reader of a few lines tells right ports from wrong ones."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spec_tests.harness.errors import Refusal
from spec_tests.harness.interface import FUNCTIONS
from spec_tests.harness.judging import parts
from spec_tests.harness.porting import find_port
from spec_tests.harness.vectors.writing import NAMES
from spec_tests.matrix import JAVASCRIPT_PORT
from spec_tests.project.site_browser import chromium, need, served
from timesformer_ref.config import TimeSformerConfig

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "ports.md"
IN_A_PAGE = """
const done = arguments[0];
async function check() {
  const { judgedCases } = await import("/port/vectors.js");
  const read = async (path) => (await fetch(`/vectors/${path}`)).arrayBuffer();
  const wrong = [];
  let count = 0;
  for await (const { row, wrong: what } of judgedCases(read)) {
    count++;
    if (what) wrong.push(`${row.name}: ${what}`);
  }
  return { count, wrong };
}
check().then(done, (error) => done({ count: 0, wrong: [error.stack] }));
"""
SOME = "test_mlp or test_classifier or test_schemes or refused or nearest or same_call"
WRITE = """
import sys
from pathlib import Path
from spec_tests.harness.vectors import write_vectors
write_vectors(Path(sys.argv[1]), True, lambda *progress: None, sys.argv[2])
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Cases of some tests, written by another process, as pytest runs inside."""
    room = tmp_path_factory.mktemp("vectors")
    subprocess.run([sys.executable, "-c", WRITE, room / "written", SOME], cwd=ROOT, check=True)
    return room / "written"


@pytest.fixture(scope="session")
def reader():
    """The reader of the page."""
    pattern = r"^```py\n(import json\nimport numpy.*?)^```$"
    (source,) = re.findall(pattern, PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    names = {}
    exec(source, names)
    return names["failures"]


def caller(port):
    """A port as the reader calls it."""

    def given(value):
        return value.astype(port.dtype, copy=False) if value.dtype.kind == "f" else value

    def call(case, tensors, weights=None):
        values = case | {n: given(x) for n, x in tensors.items() if n == "labels"}
        values["weights"] = {n: given(w) for n, w in (weights or {}).items()}
        values["config"] = TimeSformerConfig(**case.get("config", {}))
        for name in ("video", "frames", "tokens"):
            values[name] = given(tensors["input"]) if "input" in tensors else None
        values["grid"] = tuple(case.get("grid", ()))
        try:
            answer = port.call(case["function"], *(values[n] for n in FUNCTIONS[case["function"]]))
        except Refusal:
            return None
        return {NAMES.get(name, name): x for name, x in parts(answer).items()}

    return call


@pytest.mark.parametrize("right", ["numpy_port", "torch_port", "variants:numpy_float64"])
def test_right_ports_pass(folder, reader, right):
    found = find_port(f"spec_tests.ports.{right}")
    assert list(reader(folder, caller(found), found.dtype)) == []


@pytest.mark.parametrize(
    ("mutant", "requirement"),
    [
        ("gelu-tanh", "MLP-2"),
        ("nearest-product-unrounded", "POS-4"),
        ("class-token-in-time", "DIV-2"),
        ("remainder-of-groups-dropped", "REFUSE-1"),
        ("tokens-changed", "MLP-3"),
    ],
)
def test_mutants_fail_what_they_break(folder, reader, mutant, requirement):
    failed = list(reader(folder, caller(find_port(f"mutant:{mutant}"))))
    assert requirement in {name for case in failed for name in case["requirements"]}


def node_checks(port, folder):
    """What the JavaScript port in a folder says of itself."""
    need(shutil.which("node"), "node")
    command = ["node", port / "check.js", folder]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_javascript_port_finds_itself_right(folder):
    done = node_checks(JAVASCRIPT_PORT, folder)
    assert (done.returncode, done.stderr) == (0, "")
    cases = len((folder / "requests.tsv").read_text("utf-8").splitlines())
    assert done.stdout == f"{cases} cases passed, 0 failed\n"


@pytest.mark.parametrize(
    ("file", "right", "wrong", "named"),
    [
        ("layers.js", "cumulative(x.data[i]);", "(x.data[i] > 0);", "MLP-2"),
        ("layers.js", "Math.floor(Math.fround(place", "Math.floor((place", "POS-4"),
        ("schemes.js", "if (!Number.isInteger(length))", "if (false)", "REFUSE-1"),
        ("divided_attention.js", "sum = tensor(tokens.shape);", "sum = tokens;", "MLP-3"),
    ],
)
def test_the_javascript_port_finds_its_mistakes(folder, tmp_path, file, right, wrong, named):
    shutil.copytree(JAVASCRIPT_PORT, tmp_path / "port")
    source = (tmp_path / "port" / file).read_text("utf-8")
    assert right in source
    (tmp_path / "port" / file).write_text(source.replace(right, wrong), encoding="utf-8")
    done = node_checks(tmp_path / "port", folder)
    assert done.returncode == 1
    assert f"\n{named}-" in f"\n{done.stdout}"


@pytest.mark.site
def test_the_javascript_port_finds_itself_right_in_a_page(folder, tmp_path):
    (tmp_path / "index.html").touch()
    (tmp_path / "port").symlink_to(JAVASCRIPT_PORT)
    (tmp_path / "vectors").symlink_to(folder)
    with served(tmp_path) as address, chromium() as browser:
        browser.get(address)
        found = browser.execute_async_script(IN_A_PAGE)
    cases = len((folder / "requests.tsv").read_text("utf-8").splitlines())
    assert found == {"count": cases, "wrong": []}
