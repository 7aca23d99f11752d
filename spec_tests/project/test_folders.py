"""Which files of a folder are taken for videos, and what is said of the rest."""

from __future__ import annotations

import mimetypes
import shutil

import pytest

from spec_tests.project.tiny import checkpoint, write_video
from timesformer_ref.checkpoints import save_checkpoint
from timesformer_ref.input.decoding import VideoWarning
from timesformer_ref.input.folders import videos_in
from timesformer_ref.training.folder import find_videos

VIDEOS = [
    "a.mp4",
    "b.MTS",
    "c.3gp",
    "d.vob",
    "e.asf",
    "f.divx",
    "g.gif",
    "h.wmv",
    "i.m4v",
    "j.ogv",
    "k.dv",
    "l.ts",
    "m.mkv",
]
HIDDEN = [".d.mp4", "._a.mp4", ".ipynb_checkpoints/a.mp4", "__MACOSX/._a.mp4"]
OTHERS = ["notes.txt", "picture.jpg", "picture.png", "sound.wav"]


@pytest.fixture
def folder(tmp_path):
    for name in [*VIDEOS, *HIDDEN, *OTHERS, "below/n.mp4"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "lost.mp4").symlink_to(tmp_path / "gone.mp4")
    return tmp_path


def names(paths, folder):
    return [path.relative_to(folder).as_posix() for path in paths]


def test_endings_decide_and_no_table_of_the_system(folder, monkeypatch):
    monkeypatch.setattr(mimetypes, "guess_type", lambda *_: (None, None))
    videos, others = videos_in(folder)
    assert names(videos, folder) == VIDEOS
    assert names(others, folder) == sorted([*OTHERS, "below", "lost.mp4"])
    videos, others = videos_in(folder, deep=True)
    assert names(videos, folder) == sorted([*VIDEOS, "below/n.mp4"])
    assert names(others, folder) == sorted([*OTHERS, "lost.mp4"])


def test_training_passes_over_the_rest_in_one_line(folder):
    (folder / "class").mkdir()
    for name in ("a.mp4", "notes.txt", ".hidden.mp4"):
        (folder / "class" / name).touch()
        (folder / "below" / name).touch()
    shutil.rmtree(folder / "__MACOSX")
    with pytest.warns(
        VideoWarning, match=r"what is no video file: 2 \(notes.txt, notes.txt\)"
    ) as said:
        found = find_videos(folder)
    assert len(said) == 1
    assert found.classes == ("below", "class")
    assert len(found.paths) == 3


def test_a_folder_is_classified_and_the_rest_counted(run, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    write_video(videos / "a.mp4")
    (videos / "notes.txt").touch()
    save_checkpoint(checkpoint(), tmp_path / "model.safetensors")
    asked = ("--rate", "2", "--mean", "0.45", "--std", "0.225", "--heads", "4", "--json")
    said = run("classify", videos, "-c", tmp_path / "model.safetensors", *asked)
    assert said.code == 0
    assert "passed over what is no video file: 1 (notes.txt)" in said.err
