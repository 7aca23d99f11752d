"""Does the diagnosis name the mistakes? python -m spec_tests.diagnosis [--json FILE]

Ports with one, two and three mistakes answer the suite's own calls in float32; those that they fail
are diagnosed as at the end of a run. The last kind are ports that are right but for noise, in each
arithmetic, or wrong in a way that no mutant is: nothing may be named there.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import Progress

from spec_tests.harness.arithmetic import ARITHMETICS
from spec_tests.harness.diagnosis import (
    BY_NAME,
    CANDIDATES,
    FAR,
    LARGEST,
    Call,
    Input,
    Names,
    Test,
    apart,
    composed,
    diagnose,
    size_of,
)
from spec_tests.harness.interface import FUNCTIONS
from spec_tests.harness.judging import Question, parts
from spec_tests.harness.porting import Port, find_port
from spec_tests.harness.requirements import requirements
from spec_tests.harness.vectors.recording import record, silent
from spec_tests.mutants.build import patched, port_of

PER_TEST = 4
"""How many of the inputs of a test are asked: the smallest, the largest, and between."""

ACTING = 25
"""On how many inputs of a function is tried whether a mutant changes its answers."""

INNER = ("patchify", "time_embedding", "attention_step", "mlp", "classifier", "gradients",
         "frame_indices", "segment_indices", "crops")  # fmt: skip
"""The functions that call no other one of the interface."""


class Asked(NamedTuple):
    """A test of the suite with the inputs of its calls."""

    requirements: tuple[str, ...]
    inputs: list[Input]


def suite(port: Port, only: str = "") -> list[Asked]:
    """The suite's tests with their calls, for a port's arithmetic."""
    recorder, _ = record(silent, only)
    inputs: dict[bytes, Input] = {}
    found = []
    for test in recorder.tests:
        calls = [call for calls in test.inputs for call in calls if call.answer is not None]
        questions = [call.question for call in calls]
        mine = {id(i): i for q in questions if (i := _input(port, q, inputs))}.values()
        chosen = sorted(mine, key=lambda i: i.size)
        places = sorted({round(i) for i in np.linspace(0, len(chosen) - 1, PER_TEST)})
        if chosen:
            found.append(Asked(tuple(test.requirements), [chosen[i] for i in places]))
    return found


def _input(port: Port, question: Question, known: dict[bytes, Input]) -> Input | None:
    """The input of a question, the same for equal ones; None for what is not matched."""
    if question.function == "initial_weights" or size_of(question.arguments) > LARGEST >> 4:
        return None
    asked = pickle.dumps((question.function, question.arguments, question.look))
    return known.setdefault(asked, Input(port, asked, {}))


def answered(tests: Iterable[Asked], port: Port) -> list[Test]:
    """What a run would keep of a port: of each test the smallest call that fails about as badly
    as the worst one, or its last call."""
    calls = {id(i): Call(i, _answer(port, i)) for test in tests for i in test.inputs}
    found = []
    for test in tests:
        mine = [calls[id(i)] for i in test.inputs]
        worst = max(call.off for call in mine)
        telling = [c for c in mine if c.off > 1 and (c.off >= worst / 10 or worst == np.inf)]
        found.append(Test(test.requirements, worst > 1, [(telling or mine[::-1])[0]]))
    return found


def _answer(port: Port, given: Input) -> Any:
    asked = Question(port, None, given.function, given.look, **given.arguments)
    try:
        with np.errstate(all="ignore"):
            return parts(port.call(given.function, *asked.handed().values()))
    except Exception:  # a wrong port may fail in any way
        return None


def diagnosed(tests: list[Test]) -> tuple[dict[str, Any], list[str]]:
    """The diagnosis of a run, and the requirements that failed in it."""
    failed = [i for i in requirements() if any(i in t.requirements for t in tests if t.failed)]
    return diagnose(tests, failed), failed


class Judge:
    """Measures what is said of ports with known mistakes, on the calls of these tests."""

    def __init__(self, port: Port, tests: list[Asked]) -> None:
        self.port, self.tests = port, tests
        self.inputs = list({id(i): i for test in tests for i in test.inputs}.values())

    def row(self, names: Names) -> dict[str, Any]:
        """What is named for a port with these mistakes, and how right that is."""
        start = perf_counter()
        wrong = Port(port_of(patched(BY_NAME[n] for n in names), "port"), "+".join(names))
        found, failed = diagnosed(answered(self.tests, wrong))
        named = [tuple(row["mistakes"]) for row in found["diagnosis"]]
        return {
            "mistakes": names,
            "named": named,
            "verdict": self.verdict(names, named),
            "failed": len(failed),
            "unexplained": len(found["unexplained"]),
            "seconds": round(perf_counter() - start, 1),
        }

    def verdict(self, names: Names, named: list[Names]) -> str:
        """`exact` where each mistake is named, perhaps with others that no call tells from it;
        `alike` where no call tells all that are named from all mistakes; `part`, `none`, `wrong`.
        """
        if len(named) == len(names) and all(any(n in group for group in named) for n in names):
            return "exact"
        if not named:
            return "none"
        said = tuple(group[0] for group in named)
        if any(self.alike(names, order) for order in composed((), said)):
            return "alike"
        return "part" if all(set(group) & set(names) for group in named) else "wrong"

    def alike(self, names: Names, others: Names) -> bool:
        """Whether no call tells one composition from another."""
        return all(
            apart(i.guess(names).answer, i.guess(others).answer, i.allowed, i.look) <= 1
            for i in self.inputs
        )

    def acting(self) -> dict[str, set[str]]:
        """By function, the mutants that change one of its answers, of `ACTING` inputs."""
        found: dict[str, set[str]] = {}
        for function in INNER:
            own = sorted((i for i in self.inputs if i.function == function), key=lambda i: i.size)
            places = {round(i) for i in np.linspace(0, len(own) - 1, ACTING)} if own else set()
            found[function] = {
                name
                for name in CANDIDATES
                if any(own[place].guess((name,)).off >= FAR for place in places)
            }
        return found


def changed(function: str, change: Callable[..., Any]) -> Port:
    """The NumPy port with a change to the answer of one function, which also gets its arguments."""
    right = find_port("spec_tests.ports.numpy_port").functions

    def run(*arguments: Any) -> Any:
        return change(getattr(right, function)(*arguments), *arguments)

    functions = SimpleNamespace(**{n: getattr(right, n) for n in FUNCTIONS} | {function: run})
    return Port(functions, function)


UNKNOWN: dict[str, tuple[str, Callable[..., Any]]] = {
    "frames in reverse": ("frame_indices", lambda x, *_: x[::-1]),
    "every frame twice": ("segment_indices", lambda x, *_: x // 2 * 2),
    "mirrored views": ("crops", lambda x, *_: x[..., ::-1]),
    "patches rolled by one": ("patchify", lambda x, *_: np.roll(x, 1, axis=2)),
    "darker patches": ("patchify", lambda x, *_: 0.9 * x),
    "time added to tokens of the clip before": ("time_embedding", lambda x, *_: np.roll(x, 1, 0)),
    "rounded tokens": ("time_embedding", lambda x, *_: np.round(x, 2)),
    "half a residual": ("mlp", lambda x, tokens, *_: x - 0.5 * tokens),
    "clipped activations": ("mlp", lambda x, *_: np.clip(x, -1, 1)),
    "a step too long": ("attention_step", lambda x, tokens, *_: x + 0.1 * (x - tokens)),
    "the class token from the last patch": ("attention_step",
        lambda x, *_: np.concatenate([x[:, -1:], x[:, 1:]], axis=1)),
    "labels in reverse": ("classifier", lambda x, *_: x[:, ::-1]),
    "logits without their mean": ("classifier", lambda x, *_: x - x.mean(axis=1, keepdims=True)),
    "gradients clipped": ("gradients",
        lambda x, *_: (x[0], {n: np.clip(g, -0.01, 0.01) for n, g in x[1].items()})),
}  # fmt: skip
"""Mistakes that no mutant makes, each as a change of one function's answers."""


def noise(tests: list[Asked], bounds: float, dtype: str) -> list[Test]:
    """The tests with right answers but for noise of so many bounds in every number."""
    right = find_port("spec_tests.ports.numpy_port").functions
    port = Port(SimpleNamespace(**vars(right) | {"DTYPE": dtype}), dtype)
    rng = np.random.default_rng(0)
    found = []
    for test in tests:
        asked = test.inputs[0]
        given = Input(port, pickle.dumps((asked.function, asked.arguments, asked.look)), {})
        allowed = given.bounds(given.arithmetic)
        if np.inf in allowed.values():  # out of the range of this arithmetic
            continue
        answer = {
            n: x + bounds * allowed[n] * rng.choice([-1, 1], x.shape)
            for n, x in given.expected.items()
        }
        found.append(Test(test.requirements, bounds > 1, [Call(given, answer)]))
    return found


def within(acting: dict[str, set[str]]) -> list[Names]:
    """All pairs of which both change the answers of one function, and that can be composed."""
    pairs = {pair for names in acting.values() for pair in combinations(in_order(names), 2)}
    return sorted(names for pair in pairs for names in composed((), pair)[:1])


def across(acting: dict[str, set[str]], own: list[Names]) -> list[Names]:
    """All other pairs that can be composed."""
    known = {frozenset(pair) for pair in own}
    names = in_order(set().union(*acting.values()))
    pairs = [p for p in combinations(names, 2) if frozenset(p) not in known]
    return [names for pair in pairs for names in composed((), pair)[:1]]


def in_order(names: Iterable[str]) -> list[str]:
    """Mutants in the order of their table."""
    return [name for name in CANDIDATES if name in set(names)]


def triples(acting: dict[str, set[str]], count: int) -> list[Names]:
    """So many random triples that can be composed."""
    rng, names, found = random.Random(0), in_order(set().union(*acting.values())), []
    while len(found) < count:
        found += composed((), tuple(rng.sample(names, 3)))[:1]
    return found


def sample(items: list[Names], count: int) -> list[Names]:
    """So many of the items, at random from a fixed seed; all where count is 0."""
    return items if not count else random.Random(0).sample(items, min(count, len(items)))


def shares(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How many rows have each verdict, altogether and by the group of each mistake."""
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        for group in {BY_NAME[name].group.split()[0] for name in row["mistakes"]}:
            groups[group][row["verdict"]] += 1
    return {
        "of": len(rows),
        "verdicts": dict(Counter(row["verdict"] for row in rows)),
        "groups": {group: dict(groups[group]) for group in sorted(groups)},
    }


JUDGES: list[Judge] = []
"""The judge of this process; it cannot be sent to another one, which inherits it."""


def _row(names: Names) -> dict[str, Any]:
    return JUDGES[0].row(names)


def main() -> int:
    """Measure all kinds of ports. Returns 1 where something is named for a port without mutant."""
    parser = argparse.ArgumentParser(prog="python -m spec_tests.diagnosis", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    parser.add_argument("--pairs", type=int, default=0, metavar="N", help="of each kind; 0: all")
    parser.add_argument("--triples", type=int, default=100, metavar="N")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N")
    parser.add_argument("--only", default="", metavar="TESTS", help="only these, as pytest's -k")
    args = parser.parse_args()
    console = Console()
    port = find_port("spec_tests.ports.numpy_port")
    judge = Judge(port, suite(port, args.only))
    JUDGES.append(judge)
    acting = judge.acting()
    own = within(acting)
    pairs = {"two in one function": own, "two in two functions": across(acting, own)}
    kinds = {
        "one mistake": [(name,) for name in in_order(set().union(*acting.values()))],
        **{kind: sample(names, args.pairs) for kind, names in pairs.items()},
        "three": triples(acting, args.triples),
    }
    found: dict[str, Any] = {"rows": {}, "unknown": {}}
    with get_context("fork").Pool(args.jobs) as pool:
        for kind, subjects in kinds.items():
            rows = []
            with Progress(console=console, transient=True) as progress:
                task = progress.add_task(kind, total=len(subjects))
                for row in pool.imap_unordered(_row, subjects):
                    rows.append(row)
                    progress.advance(task)
            found[kind] = shares(rows) | {"there_are": len(pairs.get(kind, subjects))}
            found["rows"][kind] = [row for row in rows if row["verdict"] != "exact"]
            console.print(f"{kind}: {found[kind]['verdicts']}")
            for row in found["rows"][kind]:
                console.print(f"  {'+'.join(row['mistakes'])}: {row['verdict']} {row['named']}")
    runs = {name: answered(judge.tests, changed(*how)) for name, how in UNKNOWN.items()}
    for dtype in ARITHMETICS:
        runs[f"right, with noise of 1.5 bounds in {dtype}"] = noise(judge.tests, 1.5, dtype)
    for name, tests in runs.items():
        named = [row["mistakes"] for row in diagnosed(tests)[0]["diagnosis"]]
        found["unknown"][name] = named
        console.print(f"{name}: {named or 'nothing named'}")
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return any(found["unknown"].values())


if __name__ == "__main__":
    sys.exit(main())
