"""Read what comes next while the model computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def ahead(jobs: Iterable[Callable[[], Result]]) -> Iterator[Future[Result]]:
    """The outcome of each job in order; the job after it runs meanwhile, in a thread of its own.

    A job that fails raises where its result is asked for.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        outcomes: deque[Future[Result]] = deque()
        try:
            for job in jobs:
                outcomes.append(thread.submit(job))
                if len(outcomes) > 1:
                    yield outcomes.popleft()
            yield from outcomes
        finally:
            thread.shutdown(cancel_futures=True)
