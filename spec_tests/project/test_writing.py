"""Files and folders that appear whole or not at all, whoever dies or writes beside."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import sys
import time
from pathlib import Path
from threading import Thread

import pytest

from spec_tests.project.processes import FRESH
from spec_tests.project.tiny import checkpoint, same_weights
from timesformer_ref import atomic
from timesformer_ref.atomic import recover, whole_file, whole_folder
from timesformer_ref.checkpoints import load_checkpoint, save_checkpoint, writing
from timesformer_ref.cli import main


def write(whole, path, text):
    """Replace a file, or a folder of one file."""
    with whole(path) as new:
        (new / "text" if whole is whole_folder else new).write_text(text)


def read(path):
    return (path / "text" if path.is_dir() else path).read_text()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def die_in_the_middle(whole, path):
    with whole(path) as new:
        (new / "text" if whole is whole_folder else new).write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)


def die_between_the_two_steps(path):
    """Die where the old folder was moved away and the new one is not there, on other systems."""

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    rename = Path.rename
    atomic._exchange = lambda *_: False
    Path.rename = lambda *names: (rename(*names), die())
    write(whole_folder, path, "new")


def killed(function, *arguments):
    writer = FRESH.Process(target=function, args=arguments)
    writer.start()
    writer.join(60)
    assert writer.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_the_next_write_clears_what_a_killed_one_left(tmp_path, whole):
    write(whole, tmp_path / "x", "old")
    (tmp_path / ".x.mine").mkdir()
    killed(die_in_the_middle, whole, tmp_path / "x")
    assert read(tmp_path / "x") == "old"
    assert names(tmp_path) == [".x.mine", ".x.unfinished-0", "x"]
    write(whole, tmp_path / "x", "new")
    assert read(tmp_path / "x") == "new"
    assert names(tmp_path) == [".x.mine", "x"]


def test_a_folder_that_a_killed_writer_moved_away_comes_back(tmp_path):
    write(whole_folder, tmp_path / "x", "old")
    killed(die_between_the_two_steps, tmp_path / "x")
    assert names(tmp_path) == [".x.unfinished-0"]
    recover(tmp_path / "x")
    assert names(tmp_path) == ["x"]
    assert read(tmp_path / "x") == "old"


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_of_two_writers_the_last_wins_and_neither_sees_the_other(tmp_path, whole):
    with whole(tmp_path / "x") as new:
        (new / "text" if whole is whole_folder else new).write_text("slow")
        write(whole, tmp_path / "x", "quick")
        assert read(tmp_path / "x") == "quick"
    assert read(tmp_path / "x") == "slow"
    assert names(tmp_path) == ["x"]


def test_a_folder_is_replaced_in_one_step_where_the_system_can(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").write_text("")
    swap = getattr(ctypes.CDLL(None), "renameat2", lambda *_: -1)
    if swap(-100, bytes(tmp_path / "a"), -100, bytes(tmp_path / "b"), 2):
        pytest.skip("no exchange of names on this system")
    assert atomic._exchange(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a").is_dir()
    write(whole_folder, tmp_path / "x", "old")
    seen, over = [], False

    def watch():
        while not over:
            seen.append((tmp_path / "x").exists())

    watcher = Thread(target=watch)
    watcher.start()
    try:
        for _ in range(50):
            write(whole_folder, tmp_path / "x", "new")
            time.sleep(0.001)
    finally:
        over = True
        watcher.join()
    assert all(seen)
    assert len(seen) > 50


def test_where_names_cannot_be_exchanged_a_folder_is_replaced_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_exchange", lambda *_: False)
    for text in ("old", "new"):
        write(whole_folder, tmp_path / "x", text)
        assert read(tmp_path / "x") == text
        assert names(tmp_path) == ["x"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    for place in (Path("/proc/x"), tmp_path / ("x" * 300)):
        with pytest.raises(OSError, match=r"cannot be written \("):
            write(whole_file, place, "")
    assert not names(tmp_path)


def command(*arguments):
    sys.argv = ["timesformer-ref", *map(str, arguments)]
    main()


def command_that_stays(now, *arguments):
    """Run a command that writes half of a file and gets no further."""

    def half(_, target, *__):
        target.write_bytes(b"half")
        now.set()
        time.sleep(60)

    writing.save_file = half
    command(*arguments)


def test_a_command_that_is_asked_to_end_clears_its_own_place(tmp_path):
    now = FRESH.Event()
    arguments = (now, "convert", "camera-motion", tmp_path / "x.safetensors")
    process = FRESH.Process(target=command_that_stays, args=arguments)
    process.start()
    assert now.wait(60)
    assert names(tmp_path) == [".x.safetensors.unfinished-0"]
    process.terminate()
    process.join(60)
    assert process.exitcode == 128 + signal.SIGTERM
    assert not names(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x.pyth", "x"])
def test_convert_killed_at_any_moment_leaves_the_old_model_or_the_new_one(tmp_path, name):
    chance = random.Random(0)
    sources = [save_checkpoint(checkpoint(seed=i), tmp_path / f"{i}.pyth") for i in (0, 1)]
    models = [load_checkpoint(source).weights for source in sources]
    save_checkpoint(checkpoint(seed=0), tmp_path / name)
    for end_it in (FRESH.Process.kill, FRESH.Process.terminate) * 4:
        process = FRESH.Process(target=command, args=("convert", sources[1], tmp_path / name))
        process.start()
        time.sleep(chance.uniform(0.5, 1.5))
        end_it(process)
        process.join(60)
        found = load_checkpoint(tmp_path / name).weights
        assert any(same_weights(found, expected) for expected in models)
    save_checkpoint(checkpoint(seed=1), tmp_path / name)
    assert names(tmp_path) == sorted(["0.pyth", "1.pyth", name])
