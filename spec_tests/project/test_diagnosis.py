"""The diagnosis names the mistakes of wrong ports, and none where it cannot know."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from spec_tests.diagnosis import Asked, Judge, across, within
from spec_tests.harness import full_size, probing
from spec_tests.harness.cases import Case
from spec_tests.harness.diagnosis import (
    CANDIDATES,
    GUIDE,
    diagnose,
    read_on,
    read_records,
    recorded,
)
from spec_tests.harness.judging import Nonconformance, Question
from spec_tests.harness.porting import Port, find_port
from spec_tests.harness.probing import Probes
from spec_tests.mutants.build import Uncomposable, build, patched, sources
from spec_tests.mutants.families import FAMILIES
from spec_tests.mutants.table import MUTANTS
from timesformer_ref.config import TimeSformerConfig

pytestmark = pytest.mark.usefixtures("unchecked")

PAGE = Path(__file__).parents[2] / "docs" / "porting" / "guide.md"
CONFIG = TimeSformerConfig(
    image_size=4, patch_size=2, num_channels=2, num_frames=3, hidden_size=12, num_hidden_layers=3,
    num_attention_heads=2, intermediate_size=8, num_labels=3,
)  # fmt: skip
CASES = {
    "as trained": Case(CONFIG, (2, 3, 2, 4, 4)),
    "longer and larger": Case(CONFIG, (2, 4, 2, 6, 8), seed=1),
    "tiny": Case(CONFIG, (2, 3, 2, 4, 4), seed=2, tiny=True),
}
MISTAKES = (
    "patches-by-column",
    "time-last-repeated",
    "last-block-skipped",
    "positions-transposed+head-bias-missing+fc-missing",
    "qkv-by-head+scale-missing",  # in one function: no single mutant explains anything
)

SOME = tuple({name for names in MISTAKES for name in names.split("+")} | {*CANDIDATES[::9]})
"""Fewer candidates, so that the tests are quick: of these, too, all pairs are tried."""

CALLS = {
    "PATCH-1": ("patchify", {}),
    "TIME-1": ("time_embedding", {}),
    "DIV-1": ("attention_step", {"step": "temporal"}),
    "DIV-6": ("attention_step", {"step": "spatial"}),
    "MLP-1": ("mlp", {}),
    "MODEL-2": ("block", {}),
    "HEAD-1": ("classifier", {}),
    "MODEL-1": ("forward", {}),
}


def judged(functions, cases):
    """What a run of the suite keeps of these calls: their requirement, outcome and record."""
    port = Port(functions, "port")
    for case in cases:
        for requirement, (function, changes) in CALLS.items():
            question = Question(port, case, function, **changes)
            try:
                question.compare(question.answer(), question.expected)
                failed = False
            except Nonconformance:
                failed = True
            yield (requirement,), failed, recorded([question])


def diagnosis(functions, cases=None, more=(), **options):
    records = [*judged(functions, cases or CASES.values()), *more]
    failed = sorted({ids[0] for ids, failed, _ in records if failed})
    return diagnose(read_records(Port(functions, "port"), records), failed, **options), failed


def names(found):
    return {name for row in found["diagnosis"] for name in row["mistakes"]}


@pytest.mark.parametrize("mistakes", MISTAKES)
def test_mistakes_are_named_alone_and_together(mistakes):
    found, failed = diagnosis(find_port(f"mutant:{mistakes}").functions, candidates=SOME)
    assert sorted(row["mistakes"] for row in found["diagnosis"]) == sorted(
        [name] for name in mistakes.split("+")
    )
    assert found["unexplained"] == []
    assert {i for row in found["diagnosis"] for i in row["explains"]} == set(failed)


def test_a_mistake_that_begins_with_infinity_is_named():
    """Its own rounding error cannot be measured: noise on an infinity is no number."""
    large = [Case(replace(CONFIG, image_size=24), (1, 3, 2, 24, 24))]
    functions = find_port("mutant:flash-sum-not-rescaled").functions
    found, failed = diagnosis(functions, large, candidates=("flash-sum-not-rescaled",))
    assert names(found) == {"flash-sum-not-rescaled"}
    assert "DIV-6" in failed


class Changed:
    """The NumPy port with one function changed."""

    def __init__(self, **functions):
        self.right = find_port("spec_tests.ports.numpy_port").functions
        self.functions = functions

    def __getattr__(self, name):
        return self.functions.get(name) or getattr(self.right, name)


def off_by(bounds):
    """A right port whose answers all have noise of so many bounds."""

    def changed(function):
        def run(*arguments):
            answer = getattr(Changed(), function)(*arguments)
            names = CALLS_OF[function]
            case = next(c for c in CASES.values() if c.config == arguments[2])
            allowed = Question(find_port("spec_tests.ports.numpy_port"), case, function, **names)
            noise = np.random.default_rng(0).choice([-1.0, 1.0], answer.shape)
            return answer + bounds * max(allowed.allowed.values()) * noise

        return run

    return Changed(**{function: changed(function) for function in ("patchify", "mlp", "forward")})


CALLS_OF = dict(CALLS.values())


FITTED = {
    "eps=3e-05 of every norm": ("eps=VALUE of every norm", "3e-05"),
    "qkv as k three a": ("qkv as VALUE", "k three a"),
    "proj untransposed": ("proj untransposed", "proj"),
}


@pytest.mark.parametrize("name", FITTED)
def test_a_parameter_is_fitted(name):
    family, value = FITTED[name]
    mutant = next(f for f in FAMILIES if f.name == family).mutant(value)
    found, failed = diagnosis(build(mutant), candidates=SOME)
    assert names(found) == {name}
    assert set(found["diagnosis"][0]["explains"]) | set(found["unexplained"]) == set(failed)


def test_every_family_can_be_built():
    for family in FAMILIES:
        for value in family.values[:1]:
            build(family.mutant(value))


def test_mutants_that_no_call_tells_apart_are_named_together():
    two = {n: replace(c, config=replace(CONFIG, num_hidden_layers=2)) for n, c in CASES.items()}
    found, _ = diagnosis(find_port("mutant:last-block-skipped").functions, two.values())
    (row,) = found["diagnosis"]
    assert set(row["mistakes"]) == {"last-block-skipped", "only-block-0"}
    assert len(row["sentences"]) == 2


def test_a_further_call_tells_apart_what_the_calls_of_the_suite_did_not():
    """Both mistakes answer a shorter clip alike; on a longer one the first raises an error."""
    port = find_port("mutant:time-prefix")
    group = ("time-prefix", "time-last-repeated")
    probes = Probes(port)
    assert probes.left(group[:1], group) == group[:1]
    assert 0 < len(probes.calls) <= 3
    other = find_port("mutant:time-last-repeated")
    assert Probes(other).left(group[:1], group) == group[1:]


def test_a_port_gets_no_more_further_calls_than_allowed(monkeypatch):
    monkeypatch.setattr(probing, "CALLS", 0)
    group = ("time-prefix", "time-last-repeated")
    probes = Probes(find_port("mutant:time-prefix"))
    assert probes.left(group[:1], group) == group
    assert not probes.calls


@pytest.fixture
def full_call(tmp_path, monkeypatch):
    """What is kept of a call at full size, here as small as the others, which failed."""
    small = full_size.Published(asdict(CONFIG), None, 1, np.s_[:, ::2])
    right = Question(find_port("spec_tests.ports.numpy_port"), small.case, "forward")
    expected = right.expected[""]
    judged = {"small.expected": expected[small.look], "small.bounds": np.full(4, 1e-5)}
    monkeypatch.setattr(full_size, "PUBLISHED", {"small": small})
    monkeypatch.setattr(full_size, "FILE", tmp_path / "small.safetensors")
    save_file(judged, full_size.FILE, {"small": json.dumps(expected.shape)})

    def asked(functions):
        question = full_size.question(Port(functions, "port"), "small")
        question.answer()
        return ("MODEL-2",), True, recorded([question])

    return asked


def test_a_call_at_full_size_verifies_what_others_have_shown(full_call):
    functions = find_port("mutant:patches-by-column").functions
    found, _ = diagnosis(functions, more=[full_call(functions)], candidates=("patches-by-column",))
    assert names(found) == {"patches-by-column"}
    assert "MODEL-2" in found["diagnosis"][0]["explains"]
    assert found["unexplained"] == []


def test_a_mistake_at_full_size_only_is_not_explained(full_call):
    wrong = find_port("mutant:patches-by-column").functions

    def forward(video, weights, config):
        return wrong.forward(video, weights, config) + (video.shape[0] == 1)

    functions = Changed(patchify=wrong.patchify, forward=forward)
    found, _ = diagnosis(functions, more=[full_call(functions)], candidates=("patches-by-column",))
    assert names(found) == {"patches-by-column"}
    assert found["unexplained"] == ["MODEL-2"]


@pytest.fixture(scope="module")
def judge():
    """What measures the diagnosis, on the calls of these tests."""
    port = find_port("spec_tests.ports.numpy_port")
    records = judged(port.functions, CASES.values())
    tests = [Asked(t.requirements, [c.input for c in t.calls]) for t in read_records(port, records)]
    return Judge(port, tests)


def test_the_measure_says_whether_what_is_named_is_right(judge):
    assert judge.row(("patches-by-column",))["verdict"] == "exact"
    assert judge.row(("mlp-missing", "gelu-tanh"))["verdict"] == "alike"  # it is never computed
    assert judge.verdict(("qkv-by-head",), [("gelu-tanh",)]) == "wrong"
    assert judge.verdict(("qkv-by-head", "gelu-tanh"), [("gelu-tanh",)]) == "part"
    assert judge.verdict(("qkv-by-head",), []) == "none"


def test_pairs_are_of_one_function_or_of_two(judge):
    acting = judge.acting()
    assert "gelu-tanh" in acting["mlp"] - acting["attention_step"]
    own = within({name: acting[name] for name in ("mlp", "classifier")})
    assert ("gelu-tanh", "mlp-missing") in own
    assert all(frozenset(pair) not in set(map(frozenset, own)) for pair in across(acting, own))


def test_noise_of_one_and_a_half_bounds_is_no_mistake():
    found, failed = diagnosis(off_by(1.5))
    assert failed
    assert found["diagnosis"] == []
    assert found["unexplained"] == failed


def test_right_ports_have_no_diagnosis():
    assert diagnosis(Changed())[0] == {"diagnosis": [], "unexplained": [], "consistent_with": {}}


def of_frames_reversed(video, weights, config):
    return Changed().forward(video[:, ::-1], weights, config)


def with_half_a_residual(tokens, weights, config, layer):
    return Changed().mlp(tokens, weights, config, layer) - 0.5 * tokens


def with_rolled_patches(video, weights, config):
    return np.roll(Changed().patchify(video, weights, config), 1, axis=2)


@pytest.mark.parametrize(
    "functions",
    [
        {"forward": of_frames_reversed},
        {"mlp": with_half_a_residual},
        {"patchify": with_rolled_patches},
    ],
)
def test_a_mistake_that_no_mutant_has_is_not_named(functions):
    found, failed = diagnosis(Changed(**functions), seconds=1)
    assert failed
    assert found["diagnosis"] == []
    assert found["unexplained"] == failed


def test_a_known_mistake_is_named_beside_an_unknown_one():
    wrong = find_port("mutant:time-last-repeated").functions
    found, _ = diagnosis(Changed(time_embedding=wrong.time_embedding, mlp=with_half_a_residual))
    assert "time-last-repeated" in names(found)
    assert found["unexplained"] == ["MLP-1"]


def test_what_is_not_finite_matches_nothing():
    def nowhere(tokens, weights, config, layer):
        return np.full_like(tokens, np.nan)

    assert diagnosis(Changed(mlp=nowhere), candidates=SOME)[0]["diagnosis"] == []


def test_time_is_limited():
    found, failed = diagnosis(find_port("mutant:qkv-by-head").functions, seconds=0)
    assert found["diagnosis"] == []
    assert found["unexplained"] == failed


def test_each_mutant_has_a_kind_of_evidence_and_a_place_in_the_guide():
    anchors = {
        re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
        for title in re.findall(r"^## (.*)$", PAGE.read_text(), re.MULTILINE)
    }
    assert set(GUIDE.values()) <= anchors
    for mutant in MUTANTS:
        kind, _, requirement = mutant.evidence.partition(" ")
        assert kind in ("answer", "statistic", "state", "refusal")
        assert (kind == "answer") == (requirement == "")
        assert read_on(mutant.name)


def exclude_each_other(one, other):
    for order in ((one, other), (other, one)):
        with suppress(Uncomposable):
            return not patched(order)
    return True


def test_mutants_that_cannot_be_composed_change_the_same_lines():
    """All others can: a pair is never left out because of how its patches are written."""
    for one, other in combinations(MUTANTS, 2):
        if exclude_each_other(one, other):
            assert changed_lines(one) & changed_lines(other), (one.name, other.name)


def changed_lines(mutant):
    """The lines of the real files that a mutant's patches touch, as (file, number)."""
    return {
        (file, number)
        for file, old, _ in mutant.patches
        if old in sources()[file]
        for number in range(
            sources()[file][: sources()[file].index(old)].count("\n"),
            sources()[file][: sources()[file].index(old) + len(old)].count("\n") + 1,
        )
    }
