"""`timesformer-ref conform`, in the folder of a user who has pytest settings of his own."""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from importlib.machinery import PathFinder
from types import SimpleNamespace

import pytest

from spec_tests.harness.report import Report
from spec_tests.project.processes import afresh
from timesformer_ref import cli

pytestmark = pytest.mark.usefixtures("unchecked")

PORT = """
from spec_tests.ports.numpy_port import forward

NAME = "mine"

def mlp(tokens, weights, config, layer):
    return tokens
"""


def conform(folder, *arguments):
    """The exit code, and what the command wrote in this folder."""
    os.chdir(folder)
    sys.argv = ["timesformer-ref", "conform", *arguments]
    written = io.StringIO()
    with redirect_stdout(written), redirect_stderr(written), pytest.raises(SystemExit) as left:
        cli.main()
    return left.value.code or 0, written.getvalue()


@pytest.fixture
def room(tmp_path):
    """A folder with a port, and all that could disturb or be left behind by a run of pytest."""
    (tmp_path / "my_port.py").write_text(PORT)
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = "--nonsense"')
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = nowhere")
    (tmp_path / "conftest.py").write_text("raise RuntimeError('the conftest of the user')")
    (tmp_path / "test_mine.py").write_text("def test_mine(): assert False")
    return tmp_path


@pytest.mark.slow
def test_a_port_is_tested_from_any_folder_and_nothing_is_left_there(room):
    before = {path.name for path in room.iterdir()}
    options = [
        "--report",
        "report.json",
        "--report",
        "report.html",
        "--port-timeout",
        "3",
        "--thorough",
    ]
    code, written = afresh(conform, str(room), "my_port.py", *options, "--", "-k", "two_linear")
    assert code == 1, written
    assert written.startswith("testing my_port.py: ")
    assert "\nMLP-1 F" in written
    assert "conformance of mine" in written
    found = json.loads((room / "report.json").read_text())
    assert {row["id"]: row["status"] for row in found["requirements"]} == {"MLP-1": "failed"}
    assert {path.name for path in room.iterdir()} - before - {"__pycache__"} == {
        "report.json",
        "report.html",
    }


@pytest.fixture
def passed_on(monkeypatch):
    """What a run of the command hands to pytest."""

    def run(*arguments):
        handed = []
        monkeypatch.setenv("HYPOTHESIS_STORAGE_DIRECTORY", "")
        monkeypatch.setattr(pytest, "main", lambda options: handed.extend(options) or 0)
        monkeypatch.setattr(sys, "argv", ["timesformer-ref", "conform", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert not left.value.code
        return handed

    return run


@pytest.mark.parametrize("more", [["b.py"], ["b.py", "--", "-x"]])
def test_of_several_ports_none_is_passed_over(monkeypatch, capsys, more):
    monkeypatch.setattr(sys, "argv", ["timesformer-ref", "conform", "a.py", *more])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    error = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "a run tests one port: run b.py after a.py" in error


def test_a_second_port_option_is_refused(room):
    code, written = afresh(conform, str(room), "my_port.py", "--", "--port", "other.py")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "--port: is given twice: one run tests one port" in written


def test_options_are_those_of_the_suite(passed_on):
    handed = passed_on("cmd:./port -x", "--checkpoint", "a.pyth", "--video", "b.mp4", "--thorough")
    assert set(handed) >= {
        "--port=cmd:./port -x",
        "--checkpoint=a.pyth",
        "--video=b.mp4",
        "--hypothesis-profile=thorough",
    }
    assert not {"--thorough", "None"} & set(passed_on("port.py"))
    assert passed_on("port.py", "--", "-n", "2")[-2:] == ["-n", "2"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["no_port.py"], 4, "--port no_port.py: there is no such file"),
        ([""], 4, "names no port"),
        (["my_port.py", "--video", "x.mp4"], 4, "give --checkpoint too"),
        (["my_port.py", "--report", "report.txt"], 4, "use a name that ends in .json, .html"),
        (["my_port.py", "-x"], 2, "No such option: -x"),
        ([], 2, "Missing argument 'PORT'"),
    ],
)
def test_wrong_use(room, arguments, code, words):
    found, written = afresh(conform, str(room), *arguments)
    assert found == code
    assert words in written
    assert "Traceback" not in written


@pytest.fixture
def other_suite(tmp_path, monkeypatch):
    """Another package of the name, in a folder that comes first."""
    (tmp_path / "spec_tests").mkdir()
    (tmp_path / "spec_tests/__init__.py").touch()

    def find(name):
        return PathFinder.find_spec(name, [str(tmp_path)])

    monkeypatch.setattr("timesformer_ref.cli.conform.find_spec", find)
    return str(tmp_path / "spec_tests"), "comes before it"


@pytest.fixture
def mixed_suite(other_suite, tmp_path, monkeypatch):
    """Another package that has put its files into the folder of the suite."""
    (tmp_path / "other-1.dist-info").mkdir()
    (tmp_path / "other-1.dist-info/METADATA").write_text("Name: other\nVersion: 1")
    files = "other/__init__.py,,\nspec_tests/__init__.py,,\n"
    (tmp_path / "other-1.dist-info/RECORD").write_text(files)
    own = f"{tmp_path}/timesformer_ref/cli/conform.py"
    monkeypatch.setattr("timesformer_ref.cli.conform.__file__", own)
    return "other has put files into it", other_suite[0]


@pytest.mark.parametrize("command", [["conform", "port.py"], ["vectors", "folder"]])
@pytest.mark.parametrize("which", ["other_suite", "mixed_suite"])
def test_another_package_of_the_name_is_noticed(request, monkeypatch, capsys, which, command):
    words = request.getfixturevalue(which)
    monkeypatch.setattr(sys, "argv", ["timesformer-ref", *command])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 1
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith("error: spec_tests of timesformer-ref lies in ")
    assert all(word in written.err for word in words)


def test_progress_names_each_requirement_before_its_tests():
    def shown(*ids):
        """What pytest writes of a passed test of these requirements."""
        rest = {"when": "call", "outcome": "passed", "longrepr": None, "keywords": {}}
        verdict = {"requirements": ids, "port": "mine", "outcome": "passed"}
        test = pytest.TestReport("a", ("a", 1, "a"), user_properties=[("verdict", verdict)], **rest)
        waiting = report.pytest_report_teststatus(test, config)
        next(waiting)
        with pytest.raises(StopIteration) as done:
            waiting.send(("passed", ".", "PASSED"))
        return done.value.value[1]

    report = Report([SimpleNamespace(name="mine")], [])
    config = SimpleNamespace(getoption=lambda name, default: default)
    tests = [["MLP-1"], ["MLP-1"], ["PROP-3", "MLP-2"], ["HEAD-1"]]
    assert [shown(*ids) for ids in tests] == ["\nMLP-1 .", ".", "  MLP-2 .", "\nHEAD-1 ."]


@pytest.mark.parametrize("missing", ["pytest", "hypothesis", "spec_tests"])
def test_what_is_missing_is_told_with_the_command_that_installs_it(monkeypatch, capsys, missing):
    find = "timesformer_ref.cli.console.find_spec"
    monkeypatch.setattr(find, lambda name: name != missing or None)
    monkeypatch.setattr(sys, "argv", ["timesformer-ref", "conform", "port.py"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 1
    error = capsys.readouterr().err
    assert error == f"error: {missing} is missing: pip install 'timesformer-ref[test]'\n"
