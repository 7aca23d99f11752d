"""What the benchmark compares: the same work, of the same answers."""

import json
from dataclasses import replace
from functools import partial
from importlib import import_module
from math import prod

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from docs.making import scale
from spec_tests.make_example import write_video
from spec_tests.project.tiny import CONFIG, checkpoint, clip, one_line
from timesformer_ref import TimeSformer, VideoError
from timesformer_ref.benchmark.breakdown import breakdown
from timesformer_ref.benchmark.limit import LIMIT, Layer, needed
from timesformer_ref.benchmark.memory import CLEAR_REFS, peak_memory
from timesformer_ref.benchmark.report import report
from timesformer_ref.benchmark.runners import PEER, Case, compiled, models, runners, taken
from timesformer_ref.benchmark.timing import Timing, quiet, time_runners
from timesformer_ref.benchmark.videos import video_runners
from timesformer_ref.inference.fold import fold
from timesformer_ref.schemes import SCHEMES


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_limit_has_the_products_of_the_folded_model_and_no_other(scheme, monkeypatch):
    config = replace(CONFIG, attention_type=scheme)
    model = fold(TimeSformer.from_checkpoint(checkpoint(attention_type=scheme)))
    as_products = lambda q, k, v, **_: (q @ k.mT).softmax(-1) @ v  # noqa: E731
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", as_products)
    with FlopCounterMode(display=False) as counted, torch.inference_mode():
        model(clip(config))
    d = config.hidden_size
    found = sum(
        prod(task) if isinstance(task, Layer) else 2 * prod(task) * d for task in needed(config)
    )
    assert counted.get_total_flops() == 2 * found


def test_rounds_beside_a_slow_product_are_left_out_but_for_the_quieter_half():
    rounds = [{"a": float(number)} for number in range(4)]
    assert quiet(rounds, [1.0, 1.1, 1.2, 1.0, 1.1]) == rounds
    assert quiet(rounds, [1.0, 1.1, 1.5, 1.0, 1.1]) == [rounds[0], rounds[3]]
    assert quiet(rounds, [2.0, 4.0, 1.0, 3.0, 2.0]) == [rounds[2], rounds[3]]


def test_the_time_of_a_model_is_divided_among_its_operators():
    model, video = fold(TimeSformer.from_checkpoint(checkpoint())), clip()
    shares = breakdown(lambda: model(video))
    assert sum(shares.values()) == pytest.approx(1)
    assert {"linear layers", "fused attention", "norms", "GELU", "copies", "sums"} < shares.keys()


def test_the_command_shows_all_that_are_timed_in_one_table(run, monkeypatch, tmp_path):
    """With stand-ins for the models, of which another test compares the answers."""

    def model():
        return torch.ones(1, 400).numpy()

    timed = {"transformers": model, "timesformer_ref (folded)": model, LIMIT: lambda: None}
    cases = []
    monkeypatch.setattr(
        "timesformer_ref.benchmark.runners.runners", lambda case: cases.append(case) or timed
    )
    monkeypatch.setattr("timesformer_ref.benchmark.timing.peak_memory", lambda *_: 25e6)
    clips = ("--frames", 4, "--size", 32, "--scheme", "joint_space_time")
    said = run("bench", *clips, "--repeats", "2", "--json", tmp_path / "bench.json")
    assert said.code == 0, said.err
    joint = replace(CONFIG, attention_type="joint_space_time")
    given = cases[0].config
    for name in ("num_frames", "image_size", "attention_type", "drop_path_rate"):
        assert getattr(given, name) == getattr(joint, name)
    words = "transformers", LIMIT, "0.0e+00", "classify takes timesformer_ref (fold"
    assert all(word in said.out for word in (*words, "memory", "25 MB", "off by"))
    stored = json.loads((tmp_path / "bench.json").read_text())
    assert f"{stored['left_out']} of 2 rounds" in said.out


def test_a_benchmark_without_the_peer_names_what_to_install(run, monkeypatch):
    monkeypatch.setattr("timesformer_ref.cli.console.find_spec", lambda name: None)
    monkeypatch.setattr("timesformer_ref.benchmark.runners.runners", lambda case: {})
    one_line(run("bench"), 1, "transformers", "timesformer-ref[peers]")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_all_that_are_timed_give_the_same_answer(dtype):
    pytest.importorskip("transformers")
    case = Case(CONFIG, dtype, batch=2)
    timings = time_runners(runners(case), repeats=2)
    names = [timing.name for timing in timings]
    assert names[0] == PEER
    assert names[-1] == LIMIT
    assert ("timesformer_ref (NumPy)" in names) == (dtype == torch.float32)
    for timing in timings[:-1]:
        assert timing.difference is not None
        assert timing.difference < (1e-4 if dtype == torch.float32 else 0.1), timing.name
    assert timings[-1].difference is None
    for timing in timings:
        low, high = timing.spread
        assert 0 < low <= timing.limit_ratio <= high
    found = report(case, timings, 2, {})
    assert found["dtype"] == str(dtype).split(".")[1]
    assert found["left_out"] == 2 - len(timings[0].seconds)


@pytest.mark.parametrize(
    ("dtype", "most"),
    [(torch.float32, 1e-5), pytest.param(torch.bfloat16, 0.05, marks=pytest.mark.slow)],
)
def test_a_training_step_has_the_peers_loss(dtype, most):
    pytest.importorskip("transformers")
    case = Case(CONFIG, dtype, train=True)
    _, ours = time_runners(runners(case), repeats=1)
    assert ours.difference < most
    assert ours.limit_ratio is None


def test_models_are_compiled_for_clips_of_one_shape_where_that_is_asked_for(monkeypatch):
    pytest.importorskip("transformers")
    seen = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda model, **how: seen.append(how["mode"]))
    case = Case(CONFIG, compiled=True)
    names = [name for name in models(case.checkpoint(), case) if "compiled" in name]
    assert names == ["transformers (compiled)", "timesformer_ref (folded, compiled)"]
    compiled(torch.nn.Identity(), replace(case, device="cuda"))
    assert seen == [None, None, "reduce-overhead"]
    names = [*models(case.checkpoint(), replace(case, train=True))]
    assert names[2:] == ["timesformer_ref (PyTorch)", "timesformer_ref (compiled)"]


def test_of_this_project_the_form_that_classify_takes_is_timed_alone_on_request():
    pytest.importorskip("transformers")
    case = Case(CONFIG, fastest_only=True)
    assert list(runners(case)) == [PEER, taken(case), LIMIT]


@pytest.mark.skipif(not CLEAR_REFS.exists(), reason="only Linux tells it")
def test_memory_is_that_of_the_highest_point():
    size = 64 << 20
    found = peak_memory(lambda: [torch.ones(size // 4) + 1, torch.ones(1)], "cpu")
    assert 1.9 * size < found < 2.5 * size  # Linux counts in lumps


def test_the_picture_has_a_bar_for_everyone_and_a_mark_for_each_round():
    pytest.importorskip("matplotlib")
    from docs.making.figures.performance import draw_benchmarks

    names = PEER, "timesformer_ref (PyTorch)", LIMIT
    rest = (2.0, 1.0, 3.0), 1.0, 1.0, (1.0, 1.0), None, None, 2.0
    timings = [Timing(name, *rest) for name in names]
    (axis,) = draw_benchmarks([report(Case(CONFIG), timings, 3, {})]).axes
    assert len(axis.patches) == len(names)
    assert [len(line.get_xdata()) for line in axis.lines] == [3, 3, 3]


@pytest.mark.parametrize(("factor", "missed"), [(1.0, 0), (1.5, 8 + 1 + 4 + 2)])
def test_the_page_states_the_reason_of_each_aim_that_is_missed(monkeypatch, factor, missed):
    """Of eight cases, NumPy, memory in four of them, and two or twenty videos as files."""
    page = import_module("docs.making.performance_page")
    real, form = page.read, "timesformer_ref (folded, packed)"
    operators = {form: {"norms": 0.25, "linear layers": 0.75}, LIMIT: {"linear layers": 1.0}}

    def read(name):
        if not name.startswith(("divided", "joint", "videos-float32", "videos-20")):
            return real(name)
        rows = {PEER: 2.0, form: factor, "timesformer_ref (NumPy)": 2 * factor, LIMIT: 1.0}
        return real(name) | {
            "left_out": 1,
            "operators": operators,
            "timings": [
                {"name": name, "ratio": time / 2, "limit_ratio": time, "spread": (time, 3.21),
                 "median_seconds": time, "difference": 0.0, "peak_memory": 20e6 * time - 8e6}
                for name, time in rows.items()
            ],
        }  # fmt: skip

    monkeypatch.setattr(page, "read", read)
    found = page.performance_page()
    assert found.count("| **") == missed
    reasons = found.partition("each aim that is missed:")[2].partition("</details>")[0]
    assert reasons.count("\n- **") == missed
    assert ("No aim is missed." in found) == (missed == 0)
    assert ("most goes to norms (0.375), linear layers (0.125)." in found) == (missed > 0)
    assert f"{factor:.2f}" in found
    assert " to 3.21 |" in found
    assert "(1 more left out" in found


def test_the_way_from_files_to_answers_is_timed_on_the_same_frames(tmp_path):
    pytest.importorskip("transformers")
    pytest.importorskip("PIL")
    videos = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for video in videos:
        write_video(video)
    config = replace(CONFIG, image_size=64)
    theirs, ours = time_runners(video_runners(videos, Case(config)), repeats=1)
    assert ours.difference < 0.1  # frames are resized in another way
    assert report(Case(config), [theirs, ours], 1, {}, videos=2)["videos"] == 2


def test_what_is_no_video_is_named_before_anything_is_timed(tmp_path):
    (tmp_path / "v.mp4").write_text("no video")
    with pytest.raises(VideoError, match=r"v\.mp4: is no video"):
        video_runners([tmp_path / "v.mp4"], Case(CONFIG))


def test_scale_tells_time_memory_and_operations_or_what_is_in_the_way(monkeypatch):
    monkeypatch.setattr(scale, "TimeSformerConfig", partial(replace, CONFIG))
    found = scale.measure("divided_space_time", 4, 32)
    assert found["tokens"] == 4 * 4 * 4
    assert found["seconds"] > 0
    assert "divide" in scale.measure("sparse_local_global", 3, 32)["error"]
