"""Results of many videos in a file: gone on with after any end, and shared by processes."""

from __future__ import annotations

import json
import os
import random
import socket
import sys
import time

import numpy as np
import pytest
import torch

from spec_tests.project.processes import FRESH, afresh, fill_disk
from spec_tests.project.tiny import INPUT, LABELS, checkpoint, one_line, write_video
from timesformer_ref.atomic import hold
from timesformer_ref.checkpoints import save_checkpoint
from timesformer_ref.cli import main
from timesformer_ref.cli.many import read_list
from timesformer_ref.input import video
from timesformer_ref.use import classify

MODEL = "model.safetensors"
VIDEOS = [f"{number}.mp4" for number in range(4)]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of videos, of which one is none, and lists of them."""
    place = tmp_path_factory.mktemp("place")
    write_video(place / "0.mp4")
    for name in VIDEOS[1:]:
        os.link(place / "0.mp4", place / name)
    (place / "2.mp4").unlink()
    (place / "2.mp4").write_text("no video")
    (place / "list.txt").write_text("\n".join([*VIDEOS, "", "gone.mp4", "0.mp4"]))
    rows = [f"{name},class {name}" for name in (*VIDEOS, "gone.mp4")]
    (place / "list.csv").write_text("\n".join(["path,label", *rows]))
    model = checkpoint(labels=LABELS, preprocessing=INPUT)
    save_checkpoint(model, place / MODEL)
    return place


@pytest.fixture
def run_list(run, place, tmp_path, monkeypatch):
    """Run a command for the list's videos, with results in a folder of the test."""
    monkeypatch.chdir(place)

    def run_list(name, *arguments, listed="list.txt"):
        target = tmp_path / ("r.jsonl" if name == "classify" else "r")
        given = ("--list", listed, "-c", MODEL, "--out", target, *arguments)
        return run(name, *given)

    return run_list


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def reading(monkeypatch):
    """The videos that are read from now on."""
    read, seen = classify.read_clip, []

    def noted(path, *more, **options):
        seen.append(path.name)
        return read(path, *more, **options)

    monkeypatch.setattr(classify, "read_clip", noted)
    return seen


@pytest.mark.parametrize("listed", ["list.txt", "list.csv"])
def test_results_are_what_is_printed_else_and_failures_with_their_reasons(
    run, run_list, tmp_path, listed
):
    said = run_list("classify", listed=listed)
    assert said.code == 1
    assert said.out == f"{tmp_path}/r.jsonl: 5 videos, 2 failed (--retry)\n"
    found = rows(tmp_path / "r.jsonl")
    assert [row["video"] for row in found] == [*VIDEOS, "gone.mp4"]
    assert {"video", "error", "settings"} == set(found[2]) == set(found[4])
    assert "2.mp4: is no video" in found[2]["error"]
    assert "no such file" in found[4]["error"]
    printed = run("classify", "--list", listed, "-c", MODEL, "--json").out
    for line in printed.splitlines():
        expected = json.loads(line)
        row = found[VIDEOS.index(expected["video"])]
        assert row == expected | {"settings": found[0]["settings"]}
    said = run_list("classify", "--clips", "2", listed=listed)
    one_line(said, 1, "r.jsonl, line 1: a result of other settings")


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.csv", "x.mp4,1\n\n y.mp4 ,2\n", ["x.mp4", "y.mp4"]),
        ("a.CSV", "Path\nx, y.mp4\n", ["x"]),
        ("a.txt", "path\nx, y.mp4\n", ["path", "x, y.mp4"]),
        ("a.csv", "", []),
    ],
)
def test_a_list_has_a_path_per_line_or_in_the_first_column(tmp_path, name, text, found):
    (tmp_path / name).write_text(text)
    assert read_list(tmp_path / name) == [tmp_path / video for video in found]


def test_a_run_that_is_started_again_does_what_is_left(run_list, tmp_path, monkeypatch):
    run_list("classify")
    path = tmp_path / "r.jsonl"
    whole = path.read_bytes()
    seen = reading(monkeypatch)
    assert run_list("classify").code == 1
    assert not seen
    path.write_bytes(whole[: whole.index(b"\n") + 40])  # a process died in the second line
    assert run_list("classify").code == 1
    assert seen == ["1.mp4", "2.mp4", "3.mp4", "gone.mp4"]
    assert path.read_bytes() == whole
    lines = whole.splitlines(keepends=True)  # two processes died, each in a line
    path.write_bytes(lines[3])
    path.with_name("r.jsonl.1").write_bytes(lines[0] + lines[1][:50])
    seen.clear()
    assert run_list("classify").code == 1
    assert seen == ["1.mp4", "2.mp4", "gone.mp4"]
    assert path.read_bytes() == whole
    assert [p.name for p in tmp_path.iterdir()] == ["r.jsonl"]


def test_failures_are_tried_again_on_request(run_list, place, tmp_path, monkeypatch):
    run_list("classify")
    seen = reading(monkeypatch)
    os.link(place / "0.mp4", place / "gone.mp4")
    try:
        said = run_list("classify", "--retry")
    finally:
        (place / "gone.mp4").unlink()
    assert seen == ["2.mp4", "gone.mp4"]
    assert said.out.endswith("5 videos, 1 failed (--retry)\n")
    found = rows(tmp_path / "r.jsonl")
    assert [row["video"] for row in found] == [*VIDEOS, "gone.mp4"]
    assert found[4]["logits"] == found[0]["logits"]


def test_an_unforeseen_error_is_a_failure_of_one_video(run_list, tmp_path, monkeypatch):
    read = classify.read_clip

    def broken(path, *more, **options):
        if path.name == "1.mp4":
            raise ZeroDivisionError("a mistake of ours")
        return read(path, *more, **options)

    monkeypatch.setattr(classify, "read_clip", broken)
    assert run_list("classify").out.endswith("5 videos, 3 failed (--retry)\n")
    assert "please report this line" in rows(tmp_path / "r.jsonl")[1]["error"]


@pytest.mark.parametrize("content", ["0.mp4\n1.mp4\n", "notes", '{"video": 1}\n', "\n", "[]\n"])
def test_a_file_of_anything_else_is_not_replaced(run_list, tmp_path, content):
    (tmp_path / "r.jsonl").write_text(content)
    one_line(run_list("classify"), 1, "r.jsonl, line 1: is no result of a video")
    assert (tmp_path / "r.jsonl").read_text() == content


def test_a_second_run_at_the_same_time_is_refused(run_list, tmp_path):
    with (tmp_path / "r.jsonl").open("w") as file:
        hold(file)
        one_line(run_list("classify"), 1, "r.jsonl: another run is writing it")


def test_features_of_many_videos_go_to_a_folder_with_an_index(run_list, tmp_path, monkeypatch):
    said = run_list("features")
    assert said.code == 1
    assert said.out.endswith("index.jsonl: 5 videos, 2 failed (--retry)\n")
    index = tmp_path / "r/index.jsonl"
    whole, found = index.read_bytes(), rows(index)
    files = [row["file"] for row in found if "error" not in row]
    assert sorted(files) == sorted(p.name for p in (tmp_path / "r").iterdir() if p != index)
    for row in found:
        if "error" not in row:
            with np.load(tmp_path / "r" / row["file"]) as arrays:
                assert all(list(arrays[n].shape) == row[n] for n in ("class_token", "patches"))
    index.write_bytes(whole.splitlines(keepends=True)[3])
    assert run_list("features").code == 1
    assert index.read_bytes() == whole


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["classify"], ["no video", "--list"]),
        (["classify", "0.mp4", "--retry"], ["--retry", "--out"]),
        (["classify", "0.mp4", "--out", "x", "--json"], ["--json", "--out"]),
        (["classify", "0.mp4", "--out", "0.mp4", "-c", MODEL], ["0.mp4", "replace"]),
        (["classify", "--list", "gone.txt"], ["--list gone.txt"]),
        (["features", "0.mp4", "1.mp4", "--out", "x.npz"], ["x.npz", "name a folder"]),
    ],
)
def test_wrong_use_is_one_line(run, place, monkeypatch, arguments, words):
    monkeypatch.chdir(place)
    one_line(run(*arguments), 2, *words)


# Processes that die


def go(place, out, how="classify", listed="list.txt", limit=None, place_of=None, slow=0):
    """The command in a process of its own, one of several if its place among them is given."""
    torch.set_num_threads(1)
    os.environ.update(place_of or {})
    os.chdir(place)
    if limit:
        fill_disk(limit)
    if slow:
        read = video.read_clip
        video.read_clip = lambda *a, **k: (time.sleep(slow), read(*a, **k))[1]
        classify.read_clip = video.read_clip
    sys.argv = ["timesformer-ref", how, "--list", listed, "-c", MODEL]
    sys.argv += ["--out", str(out)]
    try:
        main()
    except SystemExit as end:
        return end.code


def test_a_disk_that_is_full_loses_no_result(place, tmp_path):
    whole, short = tmp_path / "whole.jsonl", tmp_path / "short.jsonl"
    assert afresh(go, place, whole) == 1
    limit = whole.stat().st_size * 2 // 3
    assert afresh(go, place, short, "classify", "list.txt", limit) == 1
    assert short.stat().st_size == limit
    assert afresh(go, place, short) == 1
    assert short.read_bytes() == whole.read_bytes()


@pytest.fixture
def many(place, tmp_path):
    """A list of links to one video, and the results of one process that nobody stops."""
    for number in range(16):
        os.link(place / "0.mp4", tmp_path / f"{number}.mp4")
    (tmp_path / "many.txt").write_text("".join(f"{number}.mp4\n" for number in range(16)))
    os.link(place / MODEL, tmp_path / MODEL)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("how", ["classify", "features"])
def test_a_process_that_is_killed_again_and_again_gets_there(many, how):
    chance = random.Random(0)
    end = "" if how == "classify" else "/index.jsonl"
    assert not afresh(go, many, many / "whole", how, "many.txt")
    for end_it in (FRESH.Process.kill, FRESH.Process.terminate) * 4:
        task = (many, many / "cut", how, "many.txt", None, None, 0.1)
        process = FRESH.Process(target=go, args=task)
        process.start()
        time.sleep(chance.uniform(0.5, 1.5))
        end_it(process)
        process.join(60)
    assert not afresh(go, many, many / "cut", how, "many.txt")
    assert (many / f"cut{end}").read_bytes() == (many / f"whole{end}").read_bytes()
    if how == "features":
        names = [sorted(p.name for p in (many / run).iterdir()) for run in ("cut", "whole")]
        assert names[0] == names[1]


@pytest.mark.slow
def test_two_processes_of_which_one_is_killed_and_two_more_write_what_one_would(many):
    assert not afresh(go, many, many / "whole", "classify", "many.txt")
    first = start_two(many, slow=0.2)
    part = many / "two.1"
    while not part.exists() or part.read_text().count("\n") < 3:
        assert all(process.is_alive() for process in first)
        time.sleep(0.01)
    first[1].kill()
    first[1].join()
    first[0].terminate()  # as a launcher does then
    first[0].join(60)
    done = sum(path.read_text().count("\n") for path in (many / "two", part))
    assert 4 <= done < 16
    second = start_two(many)
    for process in second:
        process.join(60)
        assert process.exitcode == 0
    assert (many / "two").read_bytes() == (many / "whole").read_bytes()
    assert not part.exists()


def start_two(many, slow=0):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    both = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    both |= {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}  # else it sets others
    places = [both | {"RANK": rank, "LOCAL_RANK": rank} for rank in "01"]
    task = (many, many / "two", "classify", "many.txt", None)
    two = [FRESH.Process(target=go, args=(*task, place, slow)) for place in places]
    for process in two:
        process.start()
    return two
