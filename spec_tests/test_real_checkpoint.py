"""A real checkpoint through every implementation: collected with --checkpoint or --published only.

The input is a random clip of the trained size, or with --video the centre view of a real one; with
--published it is a published video, for which the checkpoint's publisher states logits.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

from spec_tests.harness import judging, published
from spec_tests.harness.judging import Answer, Question, requirement
from spec_tests.harness.porting import Port, find_port
from timesformer_ref.checkpoints import CheckpointError, load_checkpoint
from timesformer_ref.checkpoints.choosing import choose_preprocessing
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.input.decoding import VideoError
from timesformer_ref.input.video import read_clip
from timesformer_ref.schemes import Grid

PATIENCE = 60
"""How many times as long as on a tiny model a program may take."""

TRANSFORMERS = ("joint_space_time", "divided_space_time")
"""Schemes for which `transformers` computes what the original does, at the trained size."""


@dataclass(frozen=True)
class Real:
    """A case like any other, but not drawn at random.

    checkpoint, film: from the command line, or those that are published.
    """

    checkpoint: str
    film: str | None
    config: TimeSformerConfig
    weights: dict[str, np.ndarray]
    video: np.ndarray

    @property
    def clip(self) -> tuple[int, ...]:
        """The shape of the video, b t c H W."""
        return self.video.shape

    @property
    def grid(self) -> Grid:
        """Frames, rows and columns of the clip's patches."""
        return self.config.clip_grid(self.clip)

    def describe(self) -> dict[str, Any]:
        """What a report shows of this case."""
        return {"checkpoint": self.checkpoint, "video": self.film}


def read(checkpoint: str, film: str | None) -> Real:
    """The case of a file, a folder or a hub id, and of a video's middle view in `classify`."""
    loaded = load_checkpoint(checkpoint)
    config = loaded.config
    if film:
        _, video, _ = read_clip(film, choose_preprocessing(loaded), num_crops=3).video[:, None]
    else:
        size = config.num_channels, config.image_size, config.image_size
        rng = np.random.default_rng(0)
        video = rng.standard_normal((1, config.num_frames, *size), np.float32)
    return Real(checkpoint, film, config, loaded.arrays(np.float64), np.float64(video))


def peers(case: Real) -> list[Port]:
    """This project's two, and `transformers` where it is installed and can take the case."""
    names = ["numpy_port", "torch_port"]
    installed = importlib.util.find_spec("transformers") is not None
    if installed and case.config.attention_type in TRANSFORMERS and case.grid == case.config.grid:
        names.append("transformers_port")
    return [find_port(f"spec_tests.ports.{name}") for name in names]


class Comparison:
    """The logits of every implementation; reference, bound and each of them run once."""

    def __init__(self, case: Real) -> None:
        self.case = case
        self.peers = {port.name: port for port in peers(case)}
        self.questions: dict[str, Question] = {}
        self.answers: dict[str, Answer] = {}
        self.say: Callable[[str], None] = print

    def question(self, port: Port) -> Question:
        """The port's question, with the expected result and bound of an earlier one.

        Raises NotOffered where the port lacks the scheme.
        """
        if port.name not in self.questions:
            question = Question(port, self.case, "forward")
            for earlier in self.questions.values():
                question.expected = earlier.expected
                if earlier.port.dtype == port.dtype:
                    question.allowed = earlier.allowed
            self.say("expected logits, in float64")
            _ = question.expected
            self.say(f"rounding errors of {port.dtype}")
            _ = question.allowed
            self.questions[port.name] = question
        return self.questions[port.name]

    def answer(self, port: Port) -> Answer:
        """The port's logits."""
        if port.name not in self.answers:
            question = self.question(port)
            self.say(f"logits of {port.name}")
            with port.patience(PATIENCE):
                self.answers[port.name] = question.answer()
        return self.answers[port.name]


@cache
def compare_published() -> Comparison | published.NotAtHand:
    """The comparison for the published checkpoint and video, or why there is none."""
    try:
        loaded, video = published.download()
    except published.NotAtHand as error:
        return error
    weights = loaded.arrays(np.float64)
    given = published.CHECKPOINT, published.FILE, loaded.config, weights, np.float64(video)
    return Comparison(Real(*given))


@cache
def compare(checkpoint: str, film: str | None) -> Comparison:
    """The comparison for these files; the run ends where they cannot be read."""
    try:
        return Comparison(read(checkpoint, film))
    except (CheckpointError, VideoError, ValueError) as error:
        raise pytest.Collector.CollectError(str(error)) from error


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "peer" in metafunc.fixturenames:
        found, tested = chosen(metafunc.config), {port.name for port in metafunc.config.ports}
        names = found.peers if isinstance(found, Comparison) else ()
        metafunc.parametrize("peer", [name for name in names if {name} != tested])


def chosen(config: pytest.Config) -> Comparison | published.NotAtHand | None:
    """The comparison that the options ask for."""
    if config.option.published:
        return compare_published()
    return (
        compare(config.option.checkpoint, config.option.video) if config.option.checkpoint else None
    )


@pytest.fixture
def comparison(request, monkeypatch):
    found = chosen(request.config)
    if found is None:
        pytest.skip("give --checkpoint FILE or --published")
    if isinstance(found, published.NotAtHand):
        pytest.skip(f"{published.plan()}; not here: {found}")
    monkeypatch.setattr(judging, "TRIALS", 1)  # among millions of roundings one run is enough
    found.say = partial(show, request.config.pluginmanager, found.case.checkpoint)
    return found


def show(plugins: pytest.PytestPluginManager, checkpoint: str, text: str) -> None:
    """Show what is under way; nobody would see it of a worker of pytest-xdist."""
    terminal, capture = map(plugins.get_plugin, ("terminalreporter", "capturemanager"))
    if terminal:
        with capture.global_and_fixture_disabled():
            terminal.write_line(f"\n{checkpoint}: {text} …")


@requirement("MODEL-2", "MODEL-5")
def test_logits_of_the_reference(port, comparison):
    question = comparison.question(port)
    question.compare(comparison.answer(port), question.expected)


@requirement("MODEL-2", "MODEL-5")
def test_logits_of_another_implementation(port, comparison, peer):
    other = comparison.peers[peer]
    own, theirs = (comparison.question(p).allowed[""] for p in (port, other))
    question = Question(port, comparison.case, "forward")
    question.allowed = {"": own + theirs}
    question.compare(comparison.answer(port), comparison.answer(other), f"from {peer}")


@requirement("MODEL-2", "MODEL-5")
def test_logits_that_the_publisher_states(port, comparison, request):
    if not request.config.option.published:
        pytest.skip("no logits are stated for a checkpoint of your own: give --published")
    found, stated = comparison.answer(port)[""][0], np.array(published.LOGITS)
    allowed = published.TOLERANCE * (1 + np.abs(stated))
    off = np.abs(found[: len(stated)] - stated)
    assert (off <= allowed).all(), (
        f"the first logits are {found[: len(stated)].tolist()}, {stated.tolist()} are stated: "
        f"{off.max():.1e} off, {published.TOLERANCE} allowed, absolute and relative"
    )
