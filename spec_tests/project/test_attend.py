"""What the class token attends to in a clip, and the frames on which that is shown."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from einops import rearrange, reduce

from spec_tests.make_example import write_video
from spec_tests.project.tiny import INPUT, LABELS, checkpoint, clip, one_line
from spec_tests.project.tiny import write_video as write_stripes
from timesformer_ref.checkpoints import save_checkpoint
from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.input.video import read_clip
from timesformer_ref.numpy_blocks.model import forward
from timesformer_ref.use.attend import (
    ClipAttention,
    attend,
    read_shown_frames,
)
from timesformer_ref.use.implementations import numpy_implementation, torch_implementation
from timesformer_ref.use.rollout import rollout

ATTEND = ("attend", "a.mp4", "-c", "divided.pyth", "--out")


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A folder of one video and two checkpoints, in which the test runs."""
    monkeypatch.chdir(tmp_path)
    write_stripes(tmp_path / "a.mp4")
    for scheme in ("divided_space_time", "space_only"):
        start = checkpoint(attention_type=scheme, labels=LABELS, preprocessing=INPUT)
        save_checkpoint(start, tmp_path / f"{scheme.split('_')[0]}.pyth")
    return tmp_path


@pytest.mark.parametrize("scheme", ["divided_space_time", "space_only"])
def test_both_implementations_attend_to_the_same(scheme):
    start = checkpoint(attention_type=scheme)
    video = clip().numpy()
    output = forward(video, start.arrays(), start.config, output_attentions=True)
    for run in (
        torch_implementation(start, "cpu", output_attentions=True),
        numpy_implementation(start, output_attentions=True),
    ):
        found = attend(start.config, video[0], run)
        np.testing.assert_allclose(found.logits, output.logits[0], atol=1e-5)
        expected = rollout(output.attentions, start.config, (4, 4, 4))[0]
        np.testing.assert_allclose(found.patches, expected, atol=1e-6)
        assert found.frame_shares.sum() == pytest.approx(1)
        assert [list(block) for block in found.frames] == [
            [] if scheme == "space_only" else ["temporal"]
        ] * 2


@pytest.mark.parametrize(("crop", "scale"), [(24, None), (28, None), (24, 24)])
def test_frames_are_shown_as_the_model_sees_them_but_sharper(tmp_path, crop, scale):
    """In RGB whatever the model's order is, and without what lies beyond its last whole patch."""
    write_video(tmp_path / "x.mp4", frames=8)
    told = Preprocessing(4, 2, crop, scale, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    seen = read_clip(tmp_path / "x.mp4", told, num_crops=1).video[0, ..., :24, :24]
    pixels = rearrange(seen, "t c H W -> t H W c") * told.std + told.mean
    for order in ("rgb", "bgr"):
        shown = read_shown_frames(tmp_path / "x.mp4", replace(told, channel_order=order), 8)
        times = shown.shape[1] // 24
        assert times > 5
        small = reduce(shown, "t (H y) (W x) c -> t H W c", "mean", y=times, x=times)
        assert np.abs(small - pixels).mean() < 0.02  # half of a large pixel


def pictures():
    """What reads pictures, where they can be drawn."""
    pytest.importorskip("matplotlib")
    from PIL import Image

    return Image


def test_heat_lies_on_the_patch_that_is_attended_to(tmp_path):
    pillow = pictures()
    from timesformer_ref.use.attention_pictures import draw_attention

    patches = np.full((2, 3, 3), 0.1)
    patches[1, 0, 2] = 0.8
    found = ClipAttention(np.zeros(2), patches, [{}])
    draw_attention(found, np.zeros((2, 48, 48, 3)), [0, 5], "", tmp_path / "x.gif")
    with pillow.open(tmp_path / "x.gif") as film:
        assert (film.format, film.n_frames) == ("GIF", 2)
        reds = []
        for frame in range(2):
            film.seek(frame)
            red, green, _ = rearrange(np.asarray(film.convert("RGB"), int), "y x c -> c y x")
            reds.append(np.argwhere(red - green > 100) / red.shape)
    assert len(reds[0]) == 0
    y, x = reds[1].mean(axis=0)
    assert y < 0.3 < 0.7 < x


def test_a_picture_has_one_scale_of_heat_and_one_of_attention_between_frames():
    pictures()
    from timesformer_ref.use import attention_pictures as drawing

    patches = np.arange(8.0).reshape(2, 2, 2)
    blocks = [{"temporal": np.array([[0.1, 0.9], [number / 10, 0.5]])} for number in range(2)]
    found = ClipAttention(np.zeros(2), patches, blocks)
    figure = drawing.picture(found, np.full((2, 8, 8, 3), 0.5), [3, 7], "walking")
    assert figure.get_suptitle() == "What the class token attends to: walking"
    by_name = {axes.get_title() or axes.get_ylabel(): axes for axes in figure.axes}
    for number, place in ((3, 0), (7, 1)):
        grey, heat = by_name[f"frame {number}"].images
        assert (grey.get_cmap().name, *grey.get_clim()) == ("gray", 0, 1)
        assert heat.get_array().tolist() == (patches[place] / 3.5).tolist()
        assert (heat.get_cmap(), *heat.get_clim()) == (drawing.HEAT, 1, 2)
    for number, block in enumerate(blocks):
        axes = by_name[f"temporal, block {number}"]
        [image] = axes.images
        assert image.get_array().tolist() == block["temporal"].tolist()
        assert image.get_clim() == (0, 1)
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["3", "7"]
    for label, (low, high), colours in (
        ("times an even share", (1, 2), drawing.HEAT),
        ("attention", (0, 1), drawing.ORANGES),
    ):
        [bar] = by_name[label].collections[-1:]
        assert by_name[label].get_ylim() == (low, high)
        assert bar.get_cmap().name == getattr(colours, "name", colours)
    assert [bar.get_height() for bar in by_name["share of each frame"].patches] == pytest.approx(
        [100 * 6 / 28, 100 * 22 / 28]
    )


@pytest.mark.parametrize(("model", "backend"), [("divided", "torch"), ("space", "numpy")])
def test_attend_draws_every_frame_and_tells_its_share(run, room, model, backend):
    target, model = room / "new" / "x.png", f"{model}.pyth"
    pillow = pictures()
    said = run("attend", "a.mp4", "-c", model, "--out", target, "--backend", backend)
    assert (said.code, said.err) == (0, "")
    best, by_frame = said.out.split("attention by frame:\n")
    answers = run("classify", "a.mp4", "-c", model, "--crops", 1, "--top", 3).out
    assert [row.split("%")[0] for row in best.splitlines()] == [
        row.split("%")[0] for row in answers.splitlines()
    ]
    *frames, last = by_frame.splitlines()
    assert [frame.split()[-1] for frame in frames] == ["0", "2", "4", "7"]
    assert sum(float(frame.split(" %")[0]) for frame in frames) == pytest.approx(100, abs=0.3)
    assert last == f"{target}: drawn"
    with pillow.open(target) as picture:
        assert picture.format == "PNG"
        assert np.ptp(np.asarray(picture.convert("L")), axis=(0, 1)) > 200
    assert list(target.parent.iterdir()) == [target]


def test_attend_does_not_replace_the_video(run, room):
    film = room / "film.gif"
    film.write_bytes((room / "a.mp4").read_bytes())
    one_line(run("attend", film, "-c", "divided.pyth", "--out", film), 2, film, "replace")
    assert film.read_bytes() == (room / "a.mp4").read_bytes()


def test_a_picture_that_cannot_be_drawn_is_one_line(run, room):
    one_line(run(*ATTEND, "x.jpg"), 2, "x.jpg", ".png", ".gif")
    one_line(run(*ATTEND, "x.png", "--backend", "both"), 2, "both")
    pytest.importorskip("matplotlib")
    one_line(run(*ATTEND, "x.png", "--crop", 4), 2, "4 x 4")
    one_line(run(*ATTEND, "a.mp4/x.png"), 1, "a.mp4/x.png: cannot be written")


def test_attend_without_matplotlib_names_what_to_install(run, room, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "timesformer_ref.use.attention_pictures", raising=False)
    one_line(run(*ATTEND, "x.png"), 1, "matplotlib", "pip install 'timesformer-ref[pictures]'")
