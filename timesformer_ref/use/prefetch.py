"""Read the next video or window while the model computes."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def prefetch(jobs: Iterable[Callable[[], Result]]) -> Iterator[Future[Result]]:
    """Run jobs in a thread, one ahead of the caller, and yield their futures in order.

    The exception of a job that fails is raised by its future's `result`.
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
