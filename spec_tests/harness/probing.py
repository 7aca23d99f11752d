"""Further calls of a port, on inputs that tell apart the mutants that the suite's calls did not."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from itertools import combinations
from time import monotonic

from spec_tests.harness.cases import Case
from spec_tests.harness.diagnosis import FAR, Call, Input, Names, apart
from spec_tests.harness.errors import Breakdown, NotOffered, Refusal
from spec_tests.harness.judging import Question, parts
from spec_tests.harness.porting import Port
from timesformer_ref.config import TimeSformerConfig

CALLS, SECONDS = 30, 15.0
"""How many calls of a port there may be, and how long it may take to choose and to make them."""

CLIPS = {"as trained": (3, 4, 2, 12, 12), "longer and higher": (2, 6, 2, 18, 14)}
"""The clips, b t c H W: of another number of frames and patches than trained, with a remainder."""

FUNCTIONS = (
    "patchify", "time_embedding", "mlp", "classifier", "attention_step", "block", "forward",
    "gradients",
)  # fmt: skip


class Probes:
    """Inputs for a port, which it is asked where its answer tells mutants apart."""

    def __init__(self, port: Port) -> None:
        self.port, self.deadline = port, 0.0
        self.inputs: list[Input] = []
        self.calls: dict[int, Call] = {}

    def left(self, names: Names, group: Names) -> Names:
        """Those of a group that give the port's answers in place of its first one, in `names`."""
        left = group
        for given in self._inputs() if len(group) > 1 else ():
            guesses = {
                n: given.guess(tuple(n if m == group[0] else m for m in names)) for n in left
            }
            answers = [guess.answer for guess in guesses.values()]
            pairs = combinations(answers, 2)
            if all(
                apart(a, b, given.allowed, given.look) < FAR
                for a, b in pairs
                if (a, b) != (None, None)
            ):
                continue
            if call := self._asked(given):
                left = tuple(
                    n for n, guess in guesses.items()
                    if (call.found is None) == (guess.answer is None) and (call.found is None
                    or apart(call.found, guess.answer, guess.allowed, given.look) <= 1)
                )  # fmt: skip
            if len(left) < 2:
                break
        return left or group

    def _inputs(self) -> Iterator[Input]:
        """The inputs, made when they are first needed, for as long as there is time."""
        self.deadline = self.deadline or monotonic() + SECONDS
        if not self.inputs:
            self.inputs = list(self._made())
        for given in self.inputs:
            if monotonic() > self.deadline or len(self.calls) >= CALLS:
                return
            yield given

    def _made(self) -> Iterator[Input]:
        fixed = self.port.fixed_frames or self.port.fixed_frame_size or self.port.static_shapes
        for scheme in self.port.schemes[::-1]:
            config = TimeSformerConfig(
                image_size=12, patch_size=3, num_channels=2, num_frames=4, hidden_size=12,
                num_hidden_layers=3, num_attention_heads=3, intermediate_size=10, num_labels=5,
                attention_type=scheme,
            )  # fmt: skip
            for clip in list(CLIPS.values())[: 1 if fixed else None]:
                case = Case(config, clip, dtype=self.port.dtype)
                for function in FUNCTIONS:
                    for step in config.steps if function == "attention_step" else ("",):
                        question = Question(self.port, case, function, step=step)
                        asked = pickle.dumps((function, question.arguments, ...))
                        yield Input(self.port, asked, {})

    def _asked(self, given: Input) -> Call | None:
        """The port's answer, if it may still be called and has the function."""
        if id(given) not in self.calls and len(self.calls) < CALLS:
            try:
                answer = parts(self.port.call(given.function, *given.handed().values()))
            except (Refusal, Breakdown):
                answer = None
            except NotOffered:
                return None
            self.calls[id(given)] = Call(given, answer)
        return self.calls.get(id(given))
