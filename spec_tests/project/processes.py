"""Functions in a process of their own, forked from one that has PyTorch and has run nothing."""

from __future__ import annotations

import importlib
import os
import pickle
import resource
import signal
from multiprocessing import get_context

FRESH = get_context("forkserver")
FRESH.set_forkserver_preload(["torch", "scipy.special", "pytest"])  # slow, and read no environment


def afresh(function, *args, env=None, seconds=300):
    """What a function of a test file returns in a new process.

    env: the whole environment, in place before that file and what it imports are read.
    """
    answer, sender = FRESH.Pipe(duplex=False)
    task = pickle.dumps((function, args))
    process = FRESH.Process(target=_run, args=(sender, env or dict(os.environ), task))
    process.start()
    sender.close()
    try:
        assert answer.poll(seconds), f"{function.__name__} did not return in {seconds} s"
        result = answer.recv()
        process.join(2)  # coverage is written when a process ends
        return result
    finally:
        process.kill()
        process.join()


def fill_disk(most):
    """No file may grow beyond so many bytes from now on in this process, which prints nothing."""
    importlib.import_module("torch._dynamo")  # PyTorch 2.7's writes a module of its own
    nowhere = os.open(os.devnull, os.O_WRONLY)  # pytest captures what is printed in a file
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def _run(sender, env, task):
    os.environ.clear()
    os.environ.update(env)
    function, args = pickle.loads(task)
    sender.send(function(*args))
