"""Read made files in processes of their own, which may take so much memory and time, no more."""

from __future__ import annotations

import os
import resource
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

SECONDS = 10
MEMORY = 2**30
"""What reading one file may take: seconds of the processor, and bytes beside the file's own."""

PATIENCE = 90
"""Seconds until a process that says nothing counts as one that hangs."""

HANGS = 3
"""After so many files at which a process hangs, it is given no more."""

FORBIDDEN = (
    "ctypes.", "os.", "pickle.find_class", "pty.", "shutil.", "socket.",
    "subprocess.", "tempfile.", "urllib.",
)  # fmt: skip
"""Audit events, or what they begin with, that reading a file has no cause for."""

HARMLESS = ("os.listdir", "os.scandir")

OWN = (sys.prefix, sys.base_prefix, str(Path(__file__).parents[2]), "<frozen")

FRESH = get_context("forkserver")
FRESH.set_forkserver_preload(["torch", "av"])


def fuzz(kind, seeds, jobs=1):
    """Make and read the file of each seed; what became of them all.

    kind: a module of this folder, with `make(seed, folder)`, which returns a file and what is
    expected of it, and `use(file, expected)`, which returns what became of it in a few words;
    READINGS, where it reads a file several times.
    """
    seeds = list(seeds)
    workers = [_Worker(kind, seeds[i::jobs]) for i in range(jobs)]
    while sum(worker.busy() for worker in workers):  # of each, where any() stops at the first
        time.sleep(0.01)
    return {
        "files": len(seeds),
        "outcomes": dict(sum((worker.outcomes for worker in workers), Counter()).most_common()),
        "failures": {k: v for worker in workers for k, v in worker.failures.items()},
        "slowest": max(worker.slowest for worker in workers),
    }


class _Worker:
    """A child process that reads files one by one, and is replaced when one kills or stops it."""

    def __init__(self, kind, seeds):
        self.kind, self.seeds = kind, seeds
        self.outcomes, self.failures, self.slowest, self.hangs = Counter(), {}, (0.0, -1), 0
        self.start()

    def start(self):
        self.answer, sender = FRESH.Pipe(duplex=False)
        self.process = FRESH.Process(target=_read_all, args=(sender, self.kind, self.seeds))
        self.process.start()
        sender.close()
        self.deadline = time.monotonic() + PATIENCE

    def busy(self):
        """Take what the child has to say; whether there is more to come."""
        while self.seeds:
            if not self.answer.poll():
                if time.monotonic() < self.deadline:
                    return True
                self.hangs += 1
                return self.failed(f"said nothing for {PATIENCE} s")
            try:
                seed, outcome, seconds = self.answer.recv()
            except EOFError:
                self.process.join()
                return self.failed(f"ended the process, exit code {self.process.exitcode}")
            assert seed == self.seeds[0]
            self.seeds = self.seeds[1:]
            self.deadline = time.monotonic() + PATIENCE
            self.slowest = max(self.slowest, (round(seconds, 2), seed))
            if outcome.startswith("!"):
                self.failures[seed] = outcome[1:]
            else:
                self.outcomes[outcome] += 1
        self.process.join()
        return False

    def failed(self, how):
        self.failures[self.seeds[0]] = how
        self.seeds = self.seeds[1:]
        self.process.kill()
        self.process.join()
        if self.hangs == HANGS:
            self.failures |= dict.fromkeys(self.seeds, f"not read: {HANGS} before it hung")
            self.seeds = []
        if self.seeds:
            self.start()
        return bool(self.seeds)


def _read_all(sender, kind, seeds):
    """Make and read each file, and send what became of it, in how many seconds."""
    warnings.simplefilter("ignore")
    module = import_module(f"spec_tests.fuzz.{kind}")
    seen = None  # while a file is read, what Python's audit reports of the process

    def judge(event, args):
        if seen is None:
            return
        writes = event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR)
        runs = event == "exec" and not args[0].co_filename.startswith(OWN)  # no module's
        if writes or runs or (event.startswith(FORBIDDEN) and event not in HARMLESS):
            seen.append(f"{event} {args!r:.100}")

    sys.addaudithook(judge)
    with tempfile.TemporaryDirectory() as folder:
        for seed in (None, *seeds):  # None imports what is imported late
            place = Path(folder, str(seed))
            place.mkdir()
            file, expected = module.make(seed, place)
            size = sum(path.stat().st_size for path in place.rglob("*"))
            resource.setrlimit(resource.RLIMIT_DATA, (_memory() + MEMORY + size, -1))
            began, seen = time.process_time(), []
            try:
                outcome = module.use(file, expected)
            except BaseException as error:
                outcome = f"!{type(error).__name__}: {error}"
            did, seen = seen, None
            seconds = time.process_time() - began
            resource.setrlimit(resource.RLIMIT_DATA, (-1, -1))
            if did or seconds > SECONDS * getattr(module, "READINGS", 1):
                outcome = f"!took {seconds:.1f} s, and did {did[:3]}"
            shutil.rmtree(place)
            if seed is not None:
                sender.send((seed, outcome, seconds))


def _memory():
    """What counts towards RLIMIT_DATA, bytes."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmData:")[1].split()[0])
