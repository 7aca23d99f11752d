"""Vectors as files: a safetensors file for each case and each set of weights, and an index.

`format.md` describes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from spec_tests.harness.arithmetic import ARITHMETICS, SINGLE, Arithmetic, each_array
from spec_tests.harness.command_port import as_text
from spec_tests.harness.interface import FUNCTIONS
from spec_tests.harness.judging import Answer, Question
from spec_tests.harness.requirements import requirements, version
from spec_tests.harness.vectors.recording import Call, Check, Recorder, Test

FORMAT = 1
FORMAT_PAGE = Path(__file__).with_name("format.md")
"""What describes the files; it goes with them."""

LICENCE = "MIT"
ORIGINAL = (
    "the original model (facebookresearch/TimeSformer, commit a5ef29a), computed by running it"
)
REFERENCE = "the NumPy implementation of timesformer_ref, in float64"
TYPES = {"<f8": "F64", "<i8": "I64", "<f4": "F32", "|u1": "U8"}
"""The names of types in safetensors files, the widest first, so that all tensors are aligned."""

NAMES = {"": "output", "the loss": "loss"}
"""What parts of an answer are called in files, where that is not the name of a weight."""


OWN = {"index.json", "requests.tsv", "README.md", "cases", "weights"}
"""What a folder of vectors holds."""


class Case(NamedTuple):
    """A call with one thing that is asked of its answer; without one its form is all."""

    test: Test
    call: Call
    check: Check | None

    @property
    def kind(self) -> str:
        """What is to be checked."""
        if self.call.answer is None:
            return "refusal"
        if self.check is None:
            return "shape"
        return "same" if self.check.same_as else "answer"

    @property
    def origin(self) -> str:
        """Where the expected numbers come from."""
        return ORIGINAL if "_of_the_original" in self.test.name else REFERENCE


def is_free(folder: Path) -> bool:
    """Whether nothing is lost where vectors take this folder's place."""
    if not folder.exists():
        return True
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else {""}
    return not names or ({"index.json", "requests.tsv"} < names <= OWN)


def cases_of(tests: list[Test]) -> Iterator[Case]:
    """The cases of all tests, in their order."""
    for test in tests:
        for calls in test.inputs:
            for call in calls:
                for check in call.checks or [None]:
                    yield Case(test, call, check)


class Writer:
    """Writes cases to a folder, each set of weights once."""

    def __init__(self, recorder: Recorder, folder: Path) -> None:
        self.recorder, self.folder = recorder, folder
        self.weights: dict[bytes, str] = {}
        self.entries: list[dict[str, Any]] = []
        self.names: dict[Call, str] = {}
        for inner in ("cases", "weights"):
            (folder / inner).mkdir()

    def write(self, case: Case) -> None:
        """Write a case's file, and the weights' where they are new."""
        name = self._new_name(case.test.requirements[0])
        self.names.setdefault(case.call, name)
        weights = self._file_of(case.call)
        tensors, arguments = request(case.call)
        about, bounds = self._about(case), {}
        if case.check:
            right = expected(case)
            with np.errstate(all="ignore"):  # some arithmetics cannot hold some numbers
                bounds = self._bounds(case, right)
            tensors |= {f"expected.{part}": numbers for part, numbers in right.items()}
            tensors |= {f"bound.{part}": np.array(list(b.values())) for part, b in bounds.items()}
        noted = about | {"specification": version(), "licence": LICENCE}
        metadata = arguments | {key: as_text(value) for key, value in noted.items()}
        save(self.folder / "cases" / f"{name}.safetensors", tensors, metadata)
        row = {"name": name, "weights": weights} | about
        row |= {key: arguments_in_json(value) for key, value in arguments.items()}
        row["bounds"] = {part: finite(bound) for part, bound in bounds.items()}
        self.entries.append(row)

    def _about(self, case: Case) -> dict[str, Any]:
        """What a case is about, and what is to be checked."""
        answer = case.call.answer or {}
        about = {
            "requirements": case.test.requirements,
            "test": case.test.name,
            "check": case.kind,
            "shapes": {NAMES.get(part, part): list(x.shape) for part, x in answer.items()},
            "origin": case.origin,
        }
        if case.kind == "same":
            about["same_as"] = self.names[case.check.same_as]
        return about | ({"may_refuse": True} if case.call.question.may_refuse else {})

    def finish(self, left_out: list[dict[str, Any]]) -> None:
        """Write the index, and the requests of all cases as the lines of the protocol."""
        index = {
            "format": FORMAT,
            "specification": version(),
            "licence": LICENCE,
            "arithmetics": list(ARITHMETICS),
            "requirements": {name: rule.text for name, rule in requirements().items()},
            "left_out": left_out,
        }
        head = json.dumps(index, indent=1).removesuffix("\n}")
        cases = ",\n".join(json.dumps(entry) for entry in self.entries)
        write(self.folder / "index.json", f'{head},\n "cases": [\n{cases}\n]}}\n')
        title = f"# Vectors of the specification of TimeSformer, version {version()}\n\n"
        write(self.folder / "README.md", title + FORMAT_PAGE.read_text("utf-8"))
        lines = [
            f"{entry['weights']}\tcases/{entry['name']}.safetensors"
            f"\tresponses/{entry['name']}.safetensors\n"
            for entry in self.entries
        ]
        write(self.folder / "requests.tsv", "".join(lines))

    def _new_name(self, requirement: str) -> str:
        number = sum(e["requirements"][0] == requirement for e in self.entries)
        return f"{requirement}-{number:03}"

    def _file_of(self, call: Call) -> str:
        """The path of the file with a call's weights, which is written when they are new."""
        weights, digest = call.arguments.get("weights"), call.weights_digest
        if weights is None:
            return ""
        if digest not in self.weights:
            self.weights[digest] = f"weights/{len(self.weights):04}.safetensors"
            save(self.folder / self.weights[digest], weights, {})
        return self.weights[digest]

    def _bounds(self, case: Case, right: Answer) -> dict[str, dict[str, float]]:
        """By part and arithmetic: how far an answer may be off what is expected.

        That is the suite's bound for the arguments as this arithmetic rounds them, and besides how
        far the reference on these is from the expected numbers, which were computed from others.
        """
        check, function = case.check, case.call.question.function
        found: dict[str, dict[str, float]] = {part: {} for part in right}
        for name, arithmetic in ARITHMETICS.items():
            rounding = SINGLE if function == "crops" else arithmetic
            arguments = each_array(rounding.round, self.recorder.arguments_of(check.judge))
            judge = Question(self.recorder, check.judge.case, function, check.look, **arguments)
            for key, numbers in judge.expected.items():
                part = NAMES.get(key, key)
                if check.exactly and part in right:
                    found[part][name] = _moved(right[part], rounding)
                elif part in right:
                    off = 0 if check.same_as else _largest(numbers - right[part])
                    bound, scale = judge.bounds(rounding)[key], _largest(right[part]) or 1.0
                    no_digit_left = rounding.leaves_no_digit(bound, scale)
                    found[part][name] = np.inf if no_digit_left else bound + off
        return found


def _largest(x: np.ndarray) -> float:
    """The largest of the numbers that are asked."""
    return float(np.nanmax(np.abs(x), initial=0))


def _moved(x: np.ndarray, arithmetic: Arithmetic) -> float:
    """How far rounding to this arithmetic moves numbers; whole ones, such as indices, it leaves."""
    if np.array_equal(x, np.rint(x), equal_nan=True):
        return 0.0
    return _largest(arithmetic.round(x) - x)


def request(call: Call) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors and the metadata of a request by the protocol of programs."""
    tensors, metadata = {}, {"function": call.question.function}
    for name in FUNCTIONS[call.question.function]:
        value = call.arguments[name]
        if isinstance(value, np.ndarray):
            tensors["labels" if name == "labels" else "input"] = value
        elif not isinstance(value, Mapping):
            metadata[name] = as_text(value)
    return tensors, metadata


def expected(case: Case) -> Answer:
    """What is expected by part in float64, NaN where nothing is asked."""
    check, answer = case.check, case.call.answer
    reference = check.judge.expected
    found = {}
    for name, right in check.expected.items():
        is_reference = right is reference.get(name) or check.same_as is not None
        right = answer[name] if is_reference else np.reshape(right, answer[name].shape)
        asked = np.full(right.shape, np.nan)
        asked[check.look] = right[check.look]
        found[NAMES.get(name, name)] = asked
    return found


def arguments_in_json(text: str) -> Any:
    """A value of a request's metadata in JSON: a number, a list, an object, else a string."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def finite(bounds: dict[str, float]) -> dict[str, float | None]:
    """The bounds, with None where an arithmetic cannot hold the numbers."""
    return {name: bound if np.isfinite(bound) else None for name, bound in bounds.items()}


def save(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Write a safetensors file, the same bytes for the same contents (the library's differ)."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    widest_first = sorted(tensors, key=lambda name: list(TYPES).index(tensors[name].dtype.str))
    end = 0
    for name in widest_first:
        begin, end = end, end + tensors[name].nbytes
        header[name] = {"dtype": TYPES[tensors[name].dtype.str], "shape": tensors[name].shape}
        header[name]["data_offsets"] = begin, end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    data = b"".join(tensors[name].tobytes() for name in widest_first)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def write(path: Path, text: str) -> None:
    """Write a text file, alike on every system."""
    path.write_bytes(text.encode())
