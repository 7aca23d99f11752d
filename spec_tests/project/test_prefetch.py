"""Prefetching: one job and no more, in order, errors where they belong."""

from functools import partial
from threading import Event

import pytest

from timesformer_ref.use.prefetch import prefetch


def test_outcomes_come_in_the_order_of_the_jobs():
    assert [outcome.result() for outcome in prefetch(partial(int, i) for i in range(5))] == [
        *range(5)
    ]


def test_the_next_job_runs_while_a_result_is_used():
    second = Event()
    outcomes = prefetch([partial(int, 1), second.set])
    assert next(outcomes).result() == 1
    assert second.wait(timeout=10)


def test_no_more_than_one_job_runs_ahead():
    done = []
    outcomes = prefetch(partial(done.append, i) for i in range(5))
    next(outcomes).result()
    outcomes.close()
    assert len(done) <= 2


def test_a_failure_is_told_where_its_result_is_asked_for():
    outcomes = prefetch([partial(int, "1"), partial(int, "x"), partial(int, "3")])
    assert next(outcomes).result() == 1
    failed = next(outcomes)
    assert next(outcomes).result() == 3
    with pytest.raises(ValueError, match="invalid literal"):
        failed.result()
