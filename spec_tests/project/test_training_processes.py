"""Training that is spread over processes, and training whose processes are killed."""

from __future__ import annotations

import json
import os
import socket
import time

import numpy as np
import pytest

from spec_tests.project.processes import FRESH
from spec_tests.project.training_runs import Views, losses

pytestmark = pytest.mark.slow

HOW = {"save_every": 2, "validation": Views(), "evaluate_every": 2}


def test_two_processes_learn_as_one_and_one_goes_on_when_they_are_killed(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "log.jsonl"
    both = [FRESH.Process(target=one_of_two, args=(rank, port, tmp_path)) for rank in (0, 1)]
    for process in both:
        process.start()
    try:
        while not log.exists() or log.read_text().count("\n") < 3:
            assert all(process.is_alive() for process in both)
            time.sleep(0.01)
    finally:
        for process in both:
            process.kill()
            process.join()
    found = rows(tmp_path)
    alone = losses(out=tmp_path / "alone", **HOW)
    expected = rows(tmp_path / "alone")
    np.testing.assert_allclose(of("loss", found), alone[:3], rtol=0, atol=1e-5)
    # seven videos, of which one process has four
    assert found[1]["scores"] == pytest.approx(expected[1]["scores"], abs=1e-5)
    resumed = losses(out=tmp_path, resume=True, **HOW)
    np.testing.assert_allclose(resumed, alone, rtol=0, atol=1e-5)
    assert resumed[:2] == of("loss", found[:2])
    assert of("step", rows(tmp_path)) == of("step", expected) == [1, 2, 3, 4, 5]


def rows(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def of(name, rows):
    return [row[name] for row in rows]


def one_of_two(rank, port, out):
    """Learn three steps, the first two of them saved, and then wait for the end."""
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})
    os.environ.update(MASTER_ADDR="127.0.0.1", ACCELERATE_USE_CPU="true", OMP_NUM_THREADS="1")
    losses(accumulate=2, out=out, report=stay_after_three, **HOW)


def stay_after_three(told):
    from accelerate import PartialState

    assert PartialState().num_processes == 2
    if told.step == 3:
        time.sleep(60)
