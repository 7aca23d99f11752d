"""What a run of the suite reports on a port, on the terminal and in files."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from contextlib import redirect_stdout
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from spec_tests import test_mlp
from spec_tests.harness.cases import Case
from spec_tests.harness.errors import Breakdown, Refusal
from spec_tests.harness.judging import Nonconformance
from spec_tests.harness.porting import find_port
from spec_tests.harness.report import Report, finding, verdict_of
from spec_tests.harness.report.html import as_html
from spec_tests.harness.report.mistakes import rest
from spec_tests.harness.report.words import STATUSES, in_words
from spec_tests.harness.requirements import requirements, version
from spec_tests.project.processes import afresh

SUITE = Path(__file__).parents[1]
PAGE = SUITE.parent / "docs" / "ports.md"
FILES = ("report.json", "report.html")
PORT = """
from spec_tests.ports.numpy_port import *
from spec_tests.ports import numpy_port

NAME = "mine <b>|*"
ATTENTION_TYPES = ("joint_space_time",)
patchify = None

def mlp(tokens, weights, config, layer):
    return numpy_port.mlp(tokens, weights, config, layer) - 0.5 * tokens

def segment_indices(total, num_frames):
    if num_frames == 8 and total > 9:
        raise ValueError("no <such> video")
    return numpy_port.segment_indices(total, num_frames)
"""
TESTS = (
    "test_patchify.py::test_projection_of_patches",
    "test_mlp.py",
    "test_initialisation.py::test_prefixes_of_steps",
    "test_checkpoints.py::test_no_pickled_code_runs",
    "test_input_pipeline.py",
)
ARGUMENTS = ("--port=port.py", "-k", "not frames and not views")


def suite(folder, *arguments):
    """The exit code of a run of the suite in this folder, and what it wrote."""
    os.chdir(folder)
    written = io.StringIO()
    with redirect_stdout(written):
        tests = [str(SUITE / test) for test in TESTS]
        code = pytest.main([*tests, "-q", "-p", "no:cacheprovider", *arguments])
    return int(code), written.getvalue()


def run(folder, *arguments):
    return afresh(suite, str(folder), *arguments, env=os.environ | {"COLUMNS": "100"})


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A folder with a port, its reports, and what the run wrote."""
    room = tmp_path_factory.mktemp("reports")
    (room / "port.py").write_text(PORT)
    reports = [f"--report={name}" for name in FILES]
    code, written = run(room, *ARGUMENTS, *reports)
    assert code == 1, written
    (room / "written").write_text(written)
    return room


@pytest.fixture
def found(room):
    return json.loads((room / "report.json").read_text())


def row(found, name):
    return next(row for row in found["requirements"] if row["id"] == name)


def test_json_has_every_requirement_that_was_tested(found):
    assert (found["port"], found["dtype"]) == ("mine <b>|*", "float32")
    assert found["attention_types"] == ["joint_space_time"]
    assert found["specification"] == version()
    statuses = {row["id"]: row["status"] for row in found["requirements"]}
    assert (
        statuses.items()
        >= {
            "PATCH-1": "not offered",
            "WEIGHT-2": "passed, in part",
            "MLP-1": "failed",
            "MLP-2": "failed",
            "FRAMES-5": "failed",
            "CKPT-5": "passed",
        }.items()
    )
    assert found["counts"] == {s: list(statuses.values()).count(s) for s in STATUSES}
    assert found["of"] == len(requirements()) > len(statuses)


def test_what_no_known_mistake_explains_is_said_first(room, found):
    assert found["diagnosis"] == []
    assert set(found["unexplained"]) == {
        r["id"] for r in found["requirements"] if r["status"] == "failed"
    }
    _, _, report = (room / "written").read_text().partition("conformance of mine")
    assert report.splitlines()[1] == "No known mistake gives this port's answers."
    assert report.splitlines()[2].startswith("Not explained: ")


def test_a_requirement_that_is_explained_in_part_is_named_so():
    named = {"explains": ["POS-2", "POS-4"], "may_also_hide": ["class-token-last"]}
    row = {"id": "POS-4", "error": 1.0, "bound": 1e-6}
    found = {"requirements": [row], "unexplained": ["POS-4"], "consistent_with": {}}
    assert rest(found | {"diagnosis": [named]}) == [
        "Not explained: POS-4 in part (1e+06 × the bound)",
        "These change the same lines, and may be hidden: class-token-last",
    ]


def test_json_of_a_failure(found):
    failed = row(found, "MLP-1")
    assert failed["error"] > failed["bound"] > 0
    assert failed["message"].startswith("mlp: off by")
    assert failed["hint"]
    assert failed["tests"] == {"failed": 1, "passed": 0, "not run": 0, "not offered": 0}
    assert failed["test"] == "spec_tests.test_mlp.test_two_linear_layers_on_the_normed_tokens()"
    assert len(failed["input"]["clip"]) == 5
    assert "hidden_dropout_prob" not in failed["input"]["config"]  # as in ViT-Base
    place, expected, actual = failed["worst"][0]
    assert place.startswith("[")
    assert expected != actual


def test_a_reported_failure_happens_again(room, found):
    port = find_port(str(room / "port.py"))
    failed = row(found, "MLP-2")
    with pytest.raises(Nonconformance) as failure:
        test_mlp.test_gelu_is_exact.check(port, Case.from_report(failed["input"]))
    assert str(failure.value) == failed["message"]
    assert failure.value.error == failed["error"]


def test_what_is_not_offered_is_shown_with_the_reason(found):
    assert row(found, "PATCH-1")["reason"] == "the port lacks patchify"
    partly = row(found, "WEIGHT-2")
    assert partly["status"] == "passed, in part"
    assert "the port lacks axial; the port lacks divided_space_time" in partly["reason"]


def test_the_terminal_shows_all_and_each_failure_once(room):
    written = (room / "written").read_text()
    assert f"joint_space_time, specification {version()})" in written
    assert "FAILURES" not in written
    assert "short test summary" not in written
    table, _, failures = written.partition("\nMLP-1  The MLP MUST be")
    assert "PATCH-1    not offered     the port lacks patchify\n" in table
    assert "MLP-1      failed          mlp: off by" in table
    assert "CKPT-5     passed          Reading a file MUST NOT run code" in table
    assert "WEIGHT-2   passed, in part the port lacks axial" in table
    for words in (
        "\n    at   ",
        "times the bound of",
        "  input  joint_space_time, video b ",
        "function mlp, layer 0, float32, seed ",
        '  again  {"config": {"image_size": ',
        "  hint   a gated or ReLU MLP",
        " tests failed)\n",
    ):
        assert words in failures
    assert re.fullmatch(
        rf"\d+ of {len(requirements())} requirements were selected: \d+ failed, \d+ passed, "
        r"\d+ not offered".replace(r"passed, ", r"passed in part, \d+ passed, "),
        failures.splitlines()[-2],
    )


def test_no_line_of_the_table_is_too_wide(room):
    table, _, _ = (room / "written").read_text().partition("\nMLP-1  The MLP MUST be")
    assert max(map(len, table.partition("conformance")[2].splitlines()[1:])) <= 100


class Page(HTMLParser):
    """The tags and the text of a page; every tag is closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_html_is_one_whole_page_that_loads_nothing(room):
    page = Page((room / "report.html").read_text())
    assert page.open == []
    names = {name for _, attributes in page.tags for name in attributes}
    assert not names & {"src", "srcset", "style", "onclick"}
    assert {tag for tag, _ in page.tags} & {"link", "script", "img", "b", "main"} == {"b", "main"}
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    anchors = {attributes.get("id") for _, attributes in page.tags}
    assert links
    assert {link.removeprefix("#") for link in links} <= anchors


def test_html_shows_all_and_lets_no_name_or_message_pass_for_markup(room, found):
    page = Page((room / "report.html").read_text())
    assert "Conformance of mine <b>|*" in page.text
    assert f"specification {version()}" in page.text
    assert "no <such> video" in page.text
    for requirement in found["requirements"]:
        assert requirement["id"] in page.text
        assert requirement["requirement"].replace("`", "") in page.text
    assert "prefers-color-scheme: dark" in page.text


def test_reports_of_a_port_without_failures(found):
    rows = [r for r in found["requirements"] if r["status"] == "passed"]
    whole = found | {"requirements": rows, "counts": {"failed": 0, "passed": len(rows)}}
    assert Page(as_html(whole)).text.count("Failed") == 0


@pytest.mark.slow
def test_several_processes_give_the_same_report(room, found):
    code, written = run(room, *ARGUMENTS, "--report=again.json", "-n", "2")
    assert code == 1, written
    assert json.loads((room / "again.json").read_text()) == found


def test_a_crash_of_another_process_is_a_failure():
    port = find_port("spec_tests.ports.numpy_port")
    report = Report([port], [])
    crash = pytest.TestReport("spec_tests/test_mlp.py::test_gelu_is_exact[x]", ("", 0, ""), {},
                              "failed", "worker 'gw0' crashed", "???")  # fmt: skip
    report.pytest_handlecrashitem(crash.nodeid, crash)
    report.pytest_runtest_logreport(crash)
    (failed,) = report.findings(port.name)["requirements"]
    assert (failed["id"], failed["status"]) == ("MLP-2", "failed")
    assert failed["message"] == "the port ended the whole process"


def test_a_verdict_travels_as_json():
    worst = [("[0]", np.float32(1), np.float64(2))]
    error = Nonconformance("off", {"clip": np.int64(3)}, np.float32(2), np.float64(1), worst)
    verdict = verdict_of(FAILED, error)
    assert verdict["worst"] == [["[0]", 1, 2]]
    assert verdict["input"] == {"clip": 3}
    assert type(verdict["error"]) is float


@pytest.mark.skipif(not PAGE.exists(), reason="needs the checkout")
def test_the_snippet_that_repeats_a_failure_does(tmp_path, monkeypatch):
    *_, snippet = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "my_port.py").write_text(PORT.replace("joint_space_time", "space_only"))
    monkeypatch.chdir(tmp_path)
    stops = []
    monkeypatch.setattr(sys, "breakpointhook", lambda: stops.append(True))
    with pytest.raises(Nonconformance, match=r"^mlp: off by"):
        exec(compile(snippet, PAGE.name, "exec"), {})
    assert stops


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--report=report.txt"], "report.txt: use a name that ends in .json, .html"),
        (["--report=no/report.html"], "no/report.html: there is no folder no"),
        (["--port=no_port.py"], "--port: is given twice: one run tests one port"),
        (["--port-timeout=0"], "argument --port-timeout: invalid"),
    ],
)
def test_wrong_options_are_one_line(room, capsys, arguments, words):
    code, written = afresh(errors_of, str(room), *arguments)
    assert code == pytest.ExitCode.USAGE_ERROR
    assert words in written
    assert "Traceback" not in written


def errors_of(folder, *arguments):
    """As `suite`, with what is written to standard error."""
    from contextlib import redirect_stderr

    errors = io.StringIO()
    with redirect_stderr(errors):
        code, written = suite(folder, "--port=port.py", *arguments)
    return code, written + errors.getvalue()


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (
            {"golden": "divided", "function": "mlp"},
            "the original's numbers 'divided', function mlp",
        ),
        ({"total": 8, "clip": 1, "function": "f"}, "total 8, clip 1, function f"),
    ],
)
def test_other_inputs_in_words(told, words):
    assert in_words(told) == words


def test_an_input_of_vit_base_in_words():
    case = {"config": {}, "clip": [1, 8, 3, 224, 320], "seed": 0, "dtype": "float64", "tiny": True}
    assert in_words(case) == (
        "divided_space_time, video b 1 × t 8 × c 3 × H 224 × W 320, trained for 8 frames of "
        "224 × 224, patch 16, width 768, heads 12, blocks 12, MLP 3072, labels 400, "
        "epsilon 1e-06, tiny tokens, float64, seed 0"
    )


FAILED = SimpleNamespace(outcome="failed", skipped=False, user_properties=[])
FAILURE = {"outcome": "failed", "message": "off", "input": {}, "test": "test"}


@pytest.mark.parametrize(
    ("kind", "cause", "keeps"),
    [
        ("numbers", None, set(requirements())),
        ("error", Refusal("too few", "ValueError"), {"PATCH-3", "TIME-4"}),
        ("error", Refusal("name 'np' is not defined", "NameError"), set()),
        ("breakdown", Breakdown("the program hung"), set()),
        ("not finite", None, {"ATT-4"}),
        ("in place", None, {"PROP-2"}),
        ("shape", None, {"CLS-3", "HEAD-2", "HEAD-3", "PROP-3"}),
        ("type", None, set()),
    ],
)
def test_a_hint_is_shown_where_its_mistake_would_show(kind, cause, keeps):
    failure = Nonconformance("mlp: wrong", {}, kind=kind)
    failure.__cause__ = cause
    verdict = verdict_of(FAILED, failure)
    rows = [finding(name, [verdict | {"test": "test"}]) for name in requirements()]
    assert {row["id"] for row in rows if row["hint"]} == keeps


DRAWN, GOLDEN = {"config": {}, "clip": [1]}, {"golden": "divided"}


@pytest.mark.parametrize(
    ("failures", "shown"),
    [
        ([(5.9e-6, 1e-6, DRAWN), (1e-1, 1e-6, DRAWN)], 1),  # the trace of another mistake
        ([(4e-1, 1e-6, GOLDEN), (1e-1, 1e-6, DRAWN)], 1),  # one that is shrunk
        ([(1e-5, 1e-6, DRAWN), (None, None, DRAWN)], 1),  # nothing to measure: an error, a shape
        ([(1.0, 1e-6, DRAWN), (None, None, DRAWN)], 0),
        ([(1.0, 0.0, {}), (1e-1, 1e-6, DRAWN)], 0),  # numbers that have to be equal
    ],
)
def test_of_several_failures_the_most_telling_is_shown(failures, shown):
    verdicts = [
        FAILURE | {"error": error, "bound": bound, "input": given, "test": f"test {i}"}
        for i, (error, bound, given) in enumerate(failures)
    ]
    assert finding("MLP-1", verdicts[::-1])["test"] == f"test {shown}"
