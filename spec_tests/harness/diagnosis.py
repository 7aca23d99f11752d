"""Which known mistakes give a port's answers: every mutant is a hypothesis of what a port computes.

On a call that a port answers wrongly, each mutant is asked too, in float64. It explains the call
where its answer is at least `FAR` bounds from the right one, and the port's within the bound of
the mutant's: 16 times the rounding error that the mutant itself makes in the port's arithmetic.
Where a port is nearer than that to the right answer, the call is too close to tell, and counts for
nobody. An answer that is not finite matches nothing.

Mistakes are composed: mutants are added to those that explain most, one at a time; where none
helps, those with a parameter are fitted (`families.py`), and at last all pairs are tried. The calls
that the port answered rightly speak against a mutant that would have answered them wrongly.
"""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from time import process_time
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from spec_tests.harness import full_size
from spec_tests.harness.arithmetic import each_array
from spec_tests.harness.judging import Answer, Question
from spec_tests.harness.porting import Port
from spec_tests.mutants.build import Uncomposable, build, patched, port_of
from spec_tests.mutants.families import FAMILIES
from spec_tests.mutants.table import MUTANTS, Mutant

FAR = 10
"""How many bounds from the right answer a mutant's has to be, so that it can explain one."""

SECONDS = 50.0
"""How long a diagnosis may take on a processor of its own: six tenths of it to find mistakes,
the rest to verify them. Further calls of the port have their own time."""

LARGEST = 1 << 23
"""How many bytes of arguments a call may have that is kept."""

KEPT = 20
"""How many calls of a test are kept, the last ones."""

GUIDE = {
    "PATCH CLS POS": "1-patches",
    "TIME": "2-time",
    "NORM ATT SPACE JOINT DIV LG AXIAL": "3-attention",
    "MLP": "4-mlp",
    "HEAD MODEL PROP": "5-the-whole-model",
    "GRAD": "gradients",
    "FRAMES VIEW": "frames-and-views",
    "WEIGHT INIT": "before-the-first-line",
    "REFUSE": "static-shapes",
}
"""The sections of `docs/porting/guide.md`, by the groups of requirements that they are about."""

Names = tuple[str, ...]
"""Mutants by name, in the order in which they are composed: a hypothesis."""

BY_NAME = {mutant.name: mutant for mutant in MUTANTS}
CANDIDATES = tuple(mutant.name for mutant in MUTANTS if mutant.evidence == "answer")


def known(mutant: Mutant) -> str:
    """The name of a mutant, under which it is found from now on."""
    return BY_NAME.setdefault(mutant.name, mutant).name


def recorded(questions: Iterable[Question]) -> bytes:
    """The last of these questions, each as it was handed over, with the port's answer.

    What the test knows of the right answer and the bound goes along, so that it is not computed
    twice.
    """
    kept: list[tuple[Any, ...]] = []
    for question in list(questions)[-KEPT:]:
        if question.published and question.found:
            judged = {name: x[question.look] for name, x in question.found.items()}
            kept.append((question.published, None, judged))
        elif question.function != "initial_weights" and size_of(question.arguments) <= LARGEST:
            given = each_array(question.arithmetic.round, question.arguments)
            asked = pickle.dumps((question.function, given, question.look))
            known = {n: vars(question)[n] for n in ("expected", "allowed") if n in vars(question)}
            kept.append((asked, known, question.found))
    return pickle.dumps(kept)


def size_of(value: Any) -> int:
    """The bytes of all arrays in a nested value."""
    if isinstance(value, dict):
        return sum(map(size_of, value.values()))
    return getattr(value, "nbytes", 0)


class Input(Question):
    """A question without a port's answer: what mutants answer to it is computed once."""

    def __init__(self, port: Port, asked: bytes, known: dict[str, Any]) -> None:
        function, arguments, look = pickle.loads(asked)
        super().__init__(port, None, function, look, **arguments)
        vars(self).update(known)
        self.size = size_of(arguments)
        self.guesses: dict[Names, Guess] = {}

    def guess(self, names: Names) -> Guess:
        """The answer of these mutants, composed."""
        if names not in self.guesses:
            self.guesses[names] = Guess(self, names)
        return self.guesses[names]


class Guess:
    """What mutants answer to a question, in float64."""

    def __init__(self, question: Question, names: Names) -> None:
        self.question, self.names = question, names

    def _asked(self) -> Question:
        """The same question with the mutants in place of the reference."""
        q = self.question
        asked = Question(q.port, None, q.function, q.look, **q.arguments)
        asked.right = getattr(_port(self.names), q.function)
        return asked

    @cached_property
    def answer(self) -> Answer | None:
        """The answer, None where there is none or it is not finite."""
        try:
            asked = self._asked()
            with np.errstate(all="ignore"):
                answer = asked._reference(asked.arguments)
        except Exception:  # a mutant may fail in any way
            return None
        finite = all(x.dtype.kind in "fiu" and np.isfinite(x).all() for x in answer.values())
        return answer if finite else None

    @cached_property
    def allowed(self) -> dict[str, float]:
        """The bound that follows from the mutants' own rounding error."""
        asked = self._asked()
        asked.expected = self.answer
        try:
            with np.errstate(all="ignore"):
                bounds = asked._bounds(asked.arithmetic)
        except Exception:  # what cannot run on noisy arrays
            return self.question.allowed
        right = self.question.allowed  # where noise ends in no number, as at a start of -inf
        return {n: b if np.isfinite(b) else right.get(n, b) for n, b in bounds.items()}

    @cached_property
    def off(self) -> float:
        """How many bounds of the right answer it is from that."""
        q = self.question
        return apart(self.answer, q.expected, q.allowed, q.look)

    @cached_property
    def far(self) -> bool:
        """Whether it is so far from the right answer that another one can be told from both."""
        q = self.question
        if self.answer is None or self.off < FAR:
            return False
        wider = {n: max(self.allowed.get(n, b), b) for n, b in q.allowed.items()}
        return apart(self.answer, q.expected, wider, q.look) >= FAR


def apart(a: Answer | None, b: Answer | None, bounds: dict[str, float], look: Any) -> float:
    """How many bounds lie between two answers; infinite where they cannot be compared."""
    if a is None or b is None or a.keys() != b.keys():
        return np.inf
    return max((_apart(a[n], b[n], bounds.get(n, 0.0), look) for n in a), default=0.0)


def _apart(a: np.ndarray, b: np.ndarray, bound: float, look: Any) -> float:
    if a.shape != b.shape or "c" in a.dtype.kind + b.dtype.kind:
        return np.inf
    with suppress(IndexError):  # of another shape than the right answer
        a, b = a[look], b[look]
    off = float(np.abs(a.astype(np.float64) - b).max(initial=0.0))
    if not off:
        return 0.0
    return off / bound if bound and np.isfinite(off) else np.inf


@lru_cache(500)
def _single(name: str) -> ModuleType:
    return build(BY_NAME[name])


@lru_cache(16)
def _several(names: Names) -> ModuleType:
    return port_of(patched(BY_NAME[name] for name in names), "several")


def _port(names: Names) -> ModuleType:
    return _single(*names) if len(names) == 1 else _several(names)


@lru_cache(100_000)
def composed(names: Names, more: Names) -> tuple[Names, ...]:
    """The orders in which the mutants of a hypothesis and some more can be composed."""
    orders, seen = (names + more, names + more[::-1], more + names, more[::-1] + names), []
    found = []
    for order in dict.fromkeys(orders):
        try:
            texts = patched(BY_NAME[name] for name in order)
        except Uncomposable:
            continue
        if texts not in seen:
            seen.append(texts)
            found.append(order)
    return tuple(found)


@dataclass
class Call:
    """A question that a test has put to the port, with the port's answer."""

    input: Input
    found: Answer | None

    @cached_property
    def off(self) -> float:
        """How many bounds it is from the right answer."""
        q = self.input
        return apart(self.found, q.expected, q.allowed, q.look)

    @property
    def clear(self) -> bool:
        """Whether there is an answer, and it is wrong by so much that mutants can be told apart."""
        return self.found is not None and self.off >= FAR

    def resembles(self, names: Names) -> bool:
        """Whether the port gave these mutants' answer, and not the right one.

        Quick where the answers are hardly further apart than the bound of the right answer allows;
        else, and for the last word (`explained_by`), the mutants' own bound is measured.
        """
        if self.input.guess(names).off < FAR:
            return False
        return self.distance(names) <= 2 or self.explained_by(names)

    def differs(self, names: Names) -> bool:
        """Whether these mutants would have given an answer that is neither right nor the port's."""
        guess = self.input.guess(names)
        said = self.found is not None and guess.answer is not None and guess.off >= FAR
        return said and self.distance(names) > FAR and not self.resembles(names)

    def explained_by(self, names: Names) -> bool:
        """Whether the port gave these mutants' answer, within their own bound, and not the right
        one.
        """
        guess = self.input.guess(names)
        if not self.distance(names) <= self.off / 5 or not guess.far:
            return False
        return apart(self.found, guess.answer, guess.allowed, self.input.look) <= 1

    def distance(self, names: Names) -> float:
        """How many bounds of the right answer the port's is from the mutants'."""
        q = self.input
        return apart(self.found, q.guess(names).answer, q.allowed, q.look)


@dataclass
class FullCall:
    """A call at full size, with what is judged of the port's answer.

    No mistake is looked for there, since mutants take seconds for it: those that other calls have
    shown are verified.
    """

    port: Port
    name: str
    found: Answer

    def given_by(self, names: Names) -> bool:
        """Whether the port gave these mutants' answer."""
        asked = full_size.question(self.port, self.name)
        asked.right = getattr(_port(names), asked.function)
        try:
            with np.errstate(all="ignore"):
                answer = asked._reference(each_array(np.float64, asked.arguments))
            judged = {n: x[asked.look] for n, x in answer.items()}
        except Exception:  # a mutant may fail in any way
            return False
        return apart(self.found, judged, asked.allowed, ...) <= 1


class Test(NamedTuple):
    """The calls of one test, of drawn cases those of the last one, and what it checks."""

    requirements: tuple[str, ...]
    failed: bool
    calls: list[Call]
    full: tuple[FullCall, ...] = ()

    @property
    def clear(self) -> list[Call | FullCall]:
        """The calls whose wrong answers have to be explained."""
        return [*(call for call in self.calls if call.clear), *self.full]


def read_records(port: Port, records: Iterable[tuple[tuple[str, ...], bool, bytes]]) -> list[Test]:
    """The tests of a run; records: of each what it checks, whether it failed, and its calls."""
    inputs: dict[bytes, Input] = {}
    found = []
    for ids, failed, record in records:
        calls, full = [], []
        for asked, known, answer in pickle.loads(record):
            if known is None:
                full.append(FullCall(port, asked, answer))
                continue
            if asked not in inputs:
                inputs[asked] = Input(port, asked, known)
            with suppress(ValueError):  # what the reference refuses has no right answer
                calls += [Call(inputs[asked], answer)] if inputs[asked].expected else []
        found.append(Test(ids, failed, calls, tuple(full)))
    return found


class Search:
    """The search for the fewest mutants that give a port's answers, for at most so many seconds."""

    def __init__(
        self, tests: list[Test], seconds: float = SECONDS, candidates: Names = CANDIDATES
    ) -> None:
        self.candidates, self.start, self.seconds = candidates, process_time(), seconds
        calls = {id(call): call for test in tests for call in test.calls}.values()
        self.wrong = sorted((c for c in calls if c.clear), key=lambda c: c.input.size)
        self.right = [c for c in calls if c.found is not None and c.off <= 1]
        self.scores: dict[Names, tuple[set[int], int]] = {(): (set(), 0)}
        self.fits: Counter[str] = Counter()

    def late(self, share: float = 0.6) -> bool:
        """Whether this share of the time is over."""
        return process_time() - self.start >= share * self.seconds

    def alike(self, names: Names) -> set[int]:
        """The places of the wrong answers that these mutants' answers resemble."""
        return self.score(names)[0]

    def score(self, names: Names) -> tuple[set[int], int]:
        """These wrong answers, and how many answers of the same functions differ from theirs."""
        if names not in self.scores:
            found = {i for i, call in enumerate(self.wrong) if call.resembles(names)}
            functions = {self.wrong[i].input.function for i in found}
            calls = [c for c in self.wrong + self.right if c.input.function in functions]
            self.scores[names] = found, sum(call.differs(names) for call in calls)
        return self.scores[names]

    def hypotheses(self) -> list[Names]:
        """Compositions of mutants, each of which explains what those before it do not."""
        found: list[Names] = []
        for size, attempts in ((1, 10), (2, 3)):
            tried: Counter[str] = Counter()
            for call in self.wrong:
                if self.late() or any(call.resembles(names) for names in found):
                    continue
                tried[call.input.function] += 1
                if tried[call.input.function] <= attempts:
                    found += self.best(call, found, size)
        return found

    def best(self, call: Call, found: list[Names], size: int) -> list[Names]:
        """Of what explains a call, with `size` mutants more than what was found, the best."""
        covered = set().union(*map(self.alike, found))
        matching = []
        for base in [*found, ()][-2:] if size > 1 else [*found, ()]:
            for more in self.additions(call, base, size):
                matching += [
                    names
                    for names in composed(base, more)
                    if call.resembles(names) and self.gains(names, base, covered)
                ]
                if self.late():
                    break
        if size == 1 and not matching and self.fits[call.input.function] < 2:
            self.fits[call.input.function] += 1
            matching = [n for base in [*found, ()] for n in self.fitted(call, base)]
        ranked = sorted(matching, key=self.rank, reverse=True)
        return next(([names] for names in ranked if call.explained_by(names)), [])

    def fitted(self, call: Call, base: Names) -> list[Names]:
        """Mutants with a parameter that is fitted to a call, and right for another one too."""
        covered, found = self.alike(base), []
        for family in FAMILIES:
            first = known(family.mutant(family.values[0]))
            if self.late() or not call.input.guess((first,)).off:
                continue
            for mutant in family.near(lambda m: call.distance((*base, known(m))), 1, call.off / 4):
                names = (*base, known(mutant))
                if call.resembles(names) and len(self.alike(names) - covered) > 1:
                    found += [names] if self.gains(names, base, covered) else []
        return found

    def gains(self, names: Names, base: Names, covered: set[int]) -> bool:
        """Whether mutants explain more than they contradict, and more than they lose."""
        found, against = self.score(names)
        lost = len(self.alike(base) - found) + max(0, against - self.score(base)[1])
        return len(found) > against and len(found - covered) > lost

    def rank(self, names: Names) -> tuple[int, int, int]:
        found, against = self.score(names)
        return len(found), -against, -len(names)

    def additions(self, call: Call, base: Names, size: int) -> Iterator[Names]:
        """So many mutants that are not in the base; of several, each changes this call's answer."""
        others = [name for name in self.candidates if name not in base]
        if size > 1:
            others = [n for n in others if 1 < call.input.guess((n,)).off < np.inf]
        return combinations(others, size)

    def cover(self) -> list[Names]:
        """The fewest compositions that explain what any of them does."""
        left, found, pool = set(range(len(self.wrong))), [], self.hypotheses()
        while pool:
            best = max(pool, key=lambda names: (len(self.alike(names) & left), -len(names)))
            if not self.alike(best) & left:
                break
            left -= self.alike(best)
            found.append(self.pruned(best))
        return [names for names in found if not self.doubtful(names, found)]

    def doubtful(self, names: Names, found: list[Names]) -> bool:
        """Whether answers of the same functions, which nothing found explains, speak against it.

        So does a right answer. An unknown mistake may give a known one's answers where an input is
        special, say where a norm and a limit both leave a sign.
        """
        explained = set().union(*map(self.alike, found))
        functions = {self.wrong[i].input.function for i in self.alike(names)}
        others = [call for i, call in enumerate(self.wrong) if i not in explained] + self.right
        against = [c for c in others if c.input.function in functions and c.differs(names)]
        return 2 * len(against) > len(self.alike(names))

    def pruned(self, names: Names) -> Names:
        """The composition without mutants that explain nothing more."""
        for name in names:
            rest = tuple(n for n in names if n != name)
            if self.alike(rest) >= self.alike(names):
                return self.pruned(rest)
        return names

    def needing(self, names: Names, name: str) -> set[int]:
        """The wrong answers for which a composition needs this mutant, or this mutant is enough."""
        rest = tuple(n for n in names if n != name)
        return self.alike(names) - (self.alike(rest) - self.alike((name,)))

    def explanations(self, names: Names, failed: list[Test]) -> Iterator[tuple[Call, set[str]]]:
        """The calls that a composition explains, each with those mutants that it takes.

        Where the port and the mutants both return no answer, that is no evidence, but it fits.
        """
        for i in sorted(self.alike(names)):
            if self.late(1):
                break
            if self.wrong[i].explained_by(names):
                yield self.wrong[i], {n for n in names if i in self.needing(names, n)}
        for call in [call for test in failed for call in test.calls if call.found is None]:
            yield call, {n for n in names if call.input.guess((n,)).answer is None}

    def stand_ins(self, names: Names, name: str) -> Names:
        """This mutant, and those that may stand in its place for all that the calls say."""
        first = self.wrong[min(self.needing(names, name))]
        found = [name]
        for other in self.candidates:
            swapped = tuple(other if n == name else n for n in names)
            if other not in names and composed((), swapped) and first.resembles(swapped):
                found += [other] if self.score(swapped) == self.score(names) else []
        return tuple(found)


def diagnose(
    tests: list[Test],
    requirements: list[str],
    tell_apart: Callable[[Names, Names], Names] = lambda names, group: group,
    **limits: Any,
) -> dict[str, Any]:
    """The known mistakes that give a port's answers, as the JSON report shows them.

    requirements: those that failed. tell_apart: asks the port further questions, see `Probes.left`.
    limits: of the search, `seconds` and `candidates`. Returns:
    diagnosis: for each mistake its name, or the names of those that no call tells apart, their
    sentences, the requirements whose failures it explains, where to read on, and the mutants that
    cannot be composed with it, which it may hide. unexplained:
    requirements of which a failure is not explained. consistent_with: of these, by requirement,
    the mutants that no answer gives away.
    """
    failed = [test for test in tests if test.failed]
    search = Search(tests, **limits)
    full = [call for test in failed for call in test.full]
    reasons = {id(c): set[str]() for c in [*full, *(c for test in tests for c in test.calls)]}
    groups: dict[str, Names] = {}
    for names in search.cover():
        for call, because in search.explanations(names, failed):
            reasons[id(call)] |= because
        for large in full:
            if not reasons[id(large)] and not search.late(1) and large.given_by(names):
                reasons[id(large)] |= set(names)
        groups |= {name: tell_apart(names, search.stand_ins(names, name)) for name in names}
    explains: dict[str, set[str]] = {name: set() for name in groups}
    for test in failed:
        silent = [call for call in test.calls if call.found is None]
        because = [reasons[id(call)] for call in test.clear + silent]
        if because and all(because):
            for name in set().union(*because):
                explains[name] |= set(test.requirements)
    explained = set().union(*explains.values())
    partly = {i for test in failed for i in test.requirements
              if not all(reasons[id(call)] for call in test.clear)}  # fmt: skip
    rows = [
        {
            "mistakes": list(groups[name]),
            "sentences": [BY_NAME[n].mistake for n in groups[name]],
            "explains": [i for i in requirements if i in ids],
            "read_on": read_on(name),
            "may_also_hide": [n for n in CANDIDATES if n != name and not composed((n,), (name,))],
        }
        for name, ids in sorted(explains.items(), key=lambda item: -len(item[1]))
        if ids
    ]
    unexplained = [i for i in requirements if i in partly or i not in explained]
    consistent = {i: found for i in unexplained if (found := _made_for(i))}
    return {"diagnosis": rows, "unexplained": unexplained, "consistent_with": consistent}


def read_on(name: str) -> str:
    """The place of the porting guide that is about a mutant's mistake."""
    group = BY_NAME[name].group.split()[0]
    anchor = next(anchor for groups, anchor in GUIDE.items() if group in groups.split())
    return f"docs/porting/guide.md#{anchor}"


def _made_for(requirement: str) -> list[str]:
    """The mutants that no answer gives away and for which a requirement was made."""
    return [m.name for m in MUTANTS if m.evidence.split(" ")[1:] == [requirement]]
