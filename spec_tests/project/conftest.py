"""What the tests of the project share. It imports none of the code, whose annotations the suite's
conftest has checked from its import on."""

from __future__ import annotations

import sys
import warnings

import jaxtyping
import pytest


@pytest.fixture(scope="session")
def process():
    """Chromium, one for all tests of a worker: each starts with the size and the page it needs."""
    from spec_tests.project.site_browser import chromium

    with chromium() as browser:
        yield browser


@pytest.fixture(params=["numpy", "torch"])
def ours(request):
    """Each of our two implementations, by the port interface, in float64."""
    from spec_tests.harness.porting import find_port

    return find_port(f"spec_tests.ports.variants:{request.param}_float64")


@pytest.fixture
def unchecked():
    """Annotations are not checked, as where a user runs the code: it must itself refuse a value."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def run(unchecked, monkeypatch, capsys):
    """Run the command in this process; its exit code and what it printed."""
    from spec_tests.project.tiny import Said
    from timesformer_ref import cli

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["timesformer-ref", *map(str, arguments)])
        with warnings.catch_warnings():  # shown, as they are to users
            warnings.simplefilter("default", UserWarning)
            with pytest.raises(SystemExit) as left:
                cli.main()
        return Said(left.value.code or 0, *capsys.readouterr())

    return run
