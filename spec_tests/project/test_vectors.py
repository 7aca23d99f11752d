"""Vectors: what is written, and that a reader of a few lines tells right ports from wrong ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from docs.making.live import ONE_THREAD, VECTORS, is_current
from spec_tests.harness.porting import find_port
from spec_tests.harness.requirements import requirements, version
from spec_tests.harness.vectors.choosing import FULL, SMALL
from spec_tests.harness.vectors.reading import failures, read
from spec_tests.harness.vectors.writing import save
from spec_tests.matrix import JAVASCRIPT_PORT
from spec_tests.mutants.vectors import caller
from spec_tests.project.site_browser import need, served

ROOT = Path(__file__).parents[2]
C_PORT = ROOT / "spec_tests" / "ports" / "c_port"
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
SOME = "test_mlp or test_classifier or no_part_in_the_temporal or refused or nearest or same_call"
WRITE = """
import sys
from pathlib import Path
from spec_tests.harness.vectors import write_vectors
write_vectors(Path(sys.argv[1]), True, lambda *progress: None, sys.argv[2])
"""
WRITE_BOTH = """
import sys
from pathlib import Path
from spec_tests.harness.vectors import write_recorded
from spec_tests.harness.vectors.recording import record
silent = lambda *progress: None
recorded = record(silent)
for name in ("small", "full"):
    folder = Path(sys.argv[1], name)
    folder.mkdir()
    write_recorded(recorded, folder, name == "small", silent)
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Cases of some tests, written by another process, as pytest runs in it."""
    folder = tmp_path_factory.mktemp("vectors") / "written"
    subprocess.run([sys.executable, "-c", WRITE, folder, SOME], cwd=ROOT, check=True)
    return folder


def index_of(folder):
    return json.loads((folder / "index.json").read_text("utf-8"))


@pytest.mark.parametrize("right", ["numpy_port", "torch_port", "variants:numpy_float64"])
def test_right_ports_pass(folder, right):
    port = find_port(f"spec_tests.ports.{right}")
    assert list(failures(folder, caller(port), port.dtype)) == []


@pytest.mark.parametrize(
    ("mutant", "requirement"),
    [
        ("gelu-tanh", "MLP-2"),
        ("nearest-product-unrounded", "POS-4"),
        ("class-token-in-time", "DIV-2"),
        ("remainder-of-groups-dropped", "REFUSE-1"),
        ("tokens-changed", "MLP-3"),
        ("head-bias-missing", "HEAD-1"),
    ],
)
def test_mutants_fail_what_they_break(folder, mutant, requirement):
    failed = list(failures(folder, caller(find_port(f"mutant:{mutant}"))))
    assert requirement in {name for case in failed for name in case["requirements"]}


def number(bound):
    """A bound in the index, where nothing stands for infinity."""
    return float(bound) if np.isfinite(bound) else None


def test_the_index_says_what_the_files_say(folder):
    index = index_of(folder)
    assert (index["format"], index["specification"], index["licence"]) == (1, version(), "MIT")
    assert index["requirements"] == {name: rule.text for name, rule in requirements().items()}
    lines = (folder / "requests.tsv").read_text().splitlines()
    for case, line in zip(index["cases"], lines, strict=True):
        path = f"cases/{case['name']}.safetensors"
        assert line.split("\t") == [case["weights"], path, path.replace("cases", "responses")]
        bounds = {
            name: dict(zip(index["arithmetics"], map(number, bound), strict=True))
            for name, bound in read(folder / path).items()
            if name.startswith("bound.")
        }
        assert bounds == {f"bound.{part}": b for part, b in case["bounds"].items()}


def test_cases_are_compared_with_earlier_ones(folder):
    names = [case["name"] for case in index_of(folder)["cases"]]
    same = [case for case in index_of(folder)["cases"] if case["check"] == "same"]
    assert same
    for case in same:
        assert names.index(case["same_as"]) < names.index(case["name"])


def test_weights_are_stored_once(folder):
    files = [path.read_bytes() for path in (folder / "weights").iterdir()]
    used = [case["weights"] for case in index_of(folder)["cases"]]
    assert len(set(files)) == len(files) == len(set(used) - {""}) < len(used)


def test_tensors_of_a_file_are_aligned(folder):
    for path in (folder / "cases").iterdir():
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        del header["__metadata__"]
        assert length % 8 == 0
        places = sorted(entry["data_offsets"] for entry in header.values())
        assert all(end == begin for (_, end), (begin, _) in pairwise(places))
        for entry in header.values():
            assert entry["data_offsets"][0] % (int(entry["dtype"][1:]) // 8) == 0


@pytest.mark.parametrize("name", ["notes.txt", "cases"])
def test_a_folder_that_holds_something_else_stays(run, tmp_path, name):
    (tmp_path / "vectors").mkdir()
    (tmp_path / "vectors" / name).write_text("mine")
    said = run("vectors", tmp_path / "vectors")
    assert said.code == 2
    assert "holds something else than vectors" in said.err
    assert (tmp_path / "vectors" / name).read_text() == "mine"


@pytest.fixture(scope="session")
def c_port(tmp_path_factory):
    """A copy of the C port, whose `make check` needs no Python."""
    if not shutil.which("make"):
        pytest.skip("needs make and a C compiler")
    names = shutil.ignore_patterns("*.o", "*.d", "timesformer_*", "responses", "vectors")
    return shutil.copytree(C_PORT, tmp_path_factory.mktemp("c") / "port", ignore=names)


def make_check(c_port, folder):
    command = ["make", "-s", "-C", c_port, "check", f"VECTORS={folder}"]
    return subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})


def test_the_c_port_checks_itself(c_port, folder):
    done = make_check(c_port, folder)
    cases = len(index_of(folder)["cases"])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{cases} cases passed, 0 failed, 0 not offered\n"


def test_the_c_port_reports_wrong_answers(c_port, folder, tmp_path):
    """Where the expected numbers of three cases are others, an answer is a refusal, or a shape."""
    shutil.copytree(folder, tmp_path / "vectors")
    change(tmp_path / "vectors/cases/MLP-2-000.safetensors", number=np.float64(2.5))
    change(tmp_path / "vectors/cases/MLP-1-000.safetensors", check="refusal")
    change(tmp_path / "vectors/cases/HEAD-1-000.safetensors", shapes='{"output": [7, 7]}')
    done = make_check(c_port, tmp_path / "vectors")
    wrong = [line for line in done.stdout.splitlines() if ":" in line]
    assert done.returncode != 0
    assert [line.partition(":")[0] for line in wrong] == ["MLP-1-000", "MLP-2-000", "HEAD-1-000"]
    assert "expected an error" in wrong[0]
    assert "expected 2.5; the bound is" in wrong[1]
    assert "another shape" in wrong[2]
    assert "3 failed" in done.stdout


def change(path, number=None, **metadata):
    """Change a file: the first expected number, or its metadata."""
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        noted = file.metadata() | metadata
    tensors = read(path)
    if number is not None:
        tensors["expected.output"].flat[0] = number
    save(path, tensors, noted)


def node_checks(port, folder):
    """What the JavaScript port in a folder says of itself."""
    need(shutil.which("node"), "node")
    command = ["node", port / "check.js", folder]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_the_javascript_port_finds_itself_right(folder):
    done = node_checks(JAVASCRIPT_PORT, folder)
    assert (done.returncode, done.stderr) == (0, "")
    cases = len(index_of(folder)["cases"])
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
def test_the_javascript_port_finds_itself_right_in_a_page(folder, tmp_path, process):
    (tmp_path / "index.html").touch()
    (tmp_path / "port").symlink_to(JAVASCRIPT_PORT)
    (tmp_path / "vectors").symlink_to(folder)
    with served(tmp_path) as address:
        process.get(address)
        found = process.execute_async_script(IN_A_PAGE)
    cases = len(index_of(folder)["cases"])
    assert found == {"count": cases, "wrong": []}


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def both(tmp_path_factory):
    """The small and the full vectors, of one recording."""
    folder = tmp_path_factory.mktemp("both")
    command = [sys.executable, "-c", WRITE_BOTH, folder]
    subprocess.run(command, cwd=ROOT, env=os.environ | ONE_THREAD, check=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("name", "limit"), [("small", SMALL), ("full", FULL)])
def test_the_whole_suite(both, c_port, name, limit):
    folder = both / name
    index = index_of(folder)
    written = {name for case in index["cases"] for name in case["requirements"]}
    left_out = {name for row in index["left_out"] for name in row["requirements"]}
    assert written | left_out == requirements().keys()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert 0.8 * limit.whole < size < 1.03 * limit.whole
    assert make_check(c_port, folder).returncode == 0
    for right in ("numpy_port", "torch_port", "variants:numpy_float64"):
        test_right_ports_pass(folder, right)


@pytest.mark.slow
def test_the_command_writes_the_same_bytes(both, tmp_path):
    """As another process did; of the site's vectors, where they are those of these sources."""
    folder = VECTORS if is_current(VECTORS) else tmp_path / "vectors"
    if folder != VECTORS:
        command = [sys.executable, "-m", "timesformer_ref", "vectors", folder, "--small"]
        subprocess.run(command, cwd=ROOT, env=os.environ | ONE_THREAD, check=True)
    assert bytes_of(folder) == bytes_of(both / "small")
