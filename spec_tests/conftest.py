"""The suite as a pytest plugin: its options, the ports that it tests, and the report at the end."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
LARGE = ("test_published_sizes.py", "test_real_checkpoint.py")
OURS = ("spec_tests.ports.numpy_port", "spec_tests.ports.torch_port")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("timesformer_ref", "conformance of a TimeSformer port")
    group.addoption("--port", metavar="PORT", help="FILE.py, package.module or cmd:COMMAND")
    group.addoption("--port-timeout", metavar="SECONDS", type=_seconds, default=10.0,
                    help="time limit of a call of a cmd: port (default: 10)")  # fmt: skip
    group.addoption("--report", metavar="FILE", action="append", default=[],
                    help="write the report to FILE.json or FILE.html")  # fmt: skip
    group.addoption(
        "--full-size",
        action="store_true",
        help="run ViT-Base on a whole clip, however long this port takes for it",
    )
    group.addoption("--checkpoint", metavar="FILE", help="also compare logits on this checkpoint")
    group.addoption("--video", metavar="FILE", help="with --checkpoint: on a clip of this video")
    group.addoption(
        "--published",
        action="store_true",
        help="only download a published checkpoint and video, and compare with the stated logits",
    )


def _seconds(text: str) -> float:
    if not 0 < (seconds := float(text)) < float("inf"):
        raise ValueError
    return seconds


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requirement(*ids): the requirements that a test checks")
    config.addinivalue_line("markers", "slow: minutes; run with -m slow")
    real = config.option.checkpoint or config.option.published
    if not real and config.option.markexpr != "slow":
        # the other models are tiny: threads would cost more time than they save
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    if config.option.port is not None:
        with suppress(ValueError):  # not the main thread
            # like Ctrl-C, so that the report is shown and the port's program ended
            before = signal.signal(signal.SIGTERM, signal.default_int_handler)
            config.add_cleanup(lambda: signal.signal(signal.SIGTERM, before))
    else:
        config.option.reportchars += "s"  # shows which tests were skipped, and why
    if config.option.port is None and not _only_hands_out_tests(config):
        import jaxtyping

        from spec_tests.harness.type_checks import of_lasting_functions as check

        jaxtyping.install_import_hook("timesformer_ref", f"{check.__module__}.{check.__name__}")

    from spec_tests.harness.errors import BadPort
    from spec_tests.harness.porting import find_port
    from spec_tests.harness.profiles import register_profiles
    from spec_tests.harness.report import Report

    register_profiles(config.getoption("--hypothesis-profile", None))
    if config.option.video and not config.option.checkpoint:
        raise pytest.UsageError("--video: takes a clip for a checkpoint: give --checkpoint too")
    if config.option.published and config.option.checkpoint:
        raise pytest.UsageError(
            "--published: names its own checkpoint: give it without --checkpoint"
        )
    given = [option.partition("=")[0] for option in config.invocation_params.args]
    if given.count("--port") > 1:
        raise pytest.UsageError("--port: is given twice: one run tests one port")
    places = OURS if config.option.port is None else [config.option.port]
    try:
        config.ports = [find_port(place, config.option.port_timeout) for place in places]
        report = Report(config.ports, config.option.report)
    except BadPort as error:
        raise pytest.UsageError(str(error)) from error
    config.pluginmanager.register(report, "timesformer_ref_report")


def _only_hands_out_tests(config: pytest.Config) -> bool:
    """Whether this process runs no tests itself, but its workers do (pytest-xdist)."""
    return config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput")


def pytest_unconfigure(config: pytest.Config) -> None:
    for port in getattr(config, "ports", ()):
        port.close()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the project's own tests under --port, and real checkpoints unless one is given.

    With --published they are all that is left.
    """
    if config.option.published and collection_path.suffix == ".py":
        return collection_path.name not in ("test_real_checkpoint.py", "conftest.py") or None
    left_out = [] if config.option.checkpoint else [HERE / "test_real_checkpoint.py"]
    left_out += [] if config.option.port is None else [HERE / "project"]
    return True if collection_path in left_out else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Ask each port; where none is named, this project's own at full size are slow tests."""
    if "port" in metafunc.fixturenames:
        full_size = metafunc.module.__name__.endswith("test_published_sizes")
        slow = [pytest.mark.slow] * (full_size and metafunc.config.option.port is None)
        ports = [pytest.param(port, id=port.name, marks=slow) for port in metafunc.config.ports]
        metafunc.parametrize("port", ports, scope="session")


@pytest.fixture(scope="session")
def unhurried(request: pytest.FixtureRequest) -> bool:
    """Whether models of full size are to run, however long they take."""
    return request.config.option.full_size


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run tests in the order of the specification, full sizes and the project's own last.

    Ports take turns in each test, since they share what is expected.
    Raises UsageError where a test names no requirement, or one that does not exist.
    """
    from spec_tests.harness.requirements import requirements

    order = {name: place for place, name in enumerate(requirements())}
    for item in items:
        ids = requirements_of(item)
        if not ids and HERE / "project" not in item.path.parents and HERE in item.path.parents:
            raise pytest.UsageError(f"{item.nodeid} names no requirement")
        if unknown := set(ids) - order.keys():
            raise pytest.UsageError(f"{item.nodeid} names {unknown}, which do not exist")

    tests: dict[tuple[Path, str], int] = {}

    def place(item: pytest.Item) -> tuple[bool, int, int]:
        first = min((order[name] for name in requirements_of(item)), default=len(order))
        test = item.path, _without_port(item)
        return item.path.name in LARGE, first, tests.setdefault(test, len(tests))

    items.sort(key=place)


def _without_port(item: pytest.Item) -> str:
    """A test's name, the same for all ports."""
    port = item.callspec.params.get("port") if hasattr(item, "callspec") else None
    return item.name.replace(port.name, "", 1) if port else item.name


def requirements_of(item: pytest.Item) -> list[str]:
    """The ids of the requirements that a test checks."""
    return [name for mark in item.iter_markers("requirement") for name in mark.args]


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    from spec_tests.harness.errors import NotOffered, NotRun
    from spec_tests.harness.judging import LEFT_OUT, NotJudged
    from spec_tests.harness.report import NOT_OFFERED, NOT_RUN

    if port := pyfuncitem.funcargs.get("port"):
        port.asked.clear()
    try:
        return (yield)
    except (NotOffered, NotJudged, NotRun) as reason:
        if not requirements_of(pyfuncitem):
            raise
        pytest.skip(f"{NOT_RUN if isinstance(reason, NotRun) else NOT_OFFERED}{reason}")
    finally:
        pyfuncitem.user_properties += [("left out", reason) for reason in LEFT_OUT]
        LEFT_OUT.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Attach outcome and requirements to pytest's report, which may go to another process."""
    from spec_tests.harness.diagnosis import recorded
    from spec_tests.harness.report import text_of, verdict_of

    report = yield
    ids = requirements_of(item)
    if not ids or (report.when != "call" and report.passed):
        return report
    if verdict := verdict_of(report, call.excinfo and call.excinfo.value):
        given = dict(item.callspec.params) if hasattr(item, "callspec") else {}
        port = given.pop("port").name if "port" in given else ""
        verdict |= {"requirements": ids, "port": port, "test": call_of(item, given)}
        if "worst" in verdict and item.config.option.tbstyle == "auto":
            report.longrepr = text_of(verdict)
        report.user_properties.append(("verdict", verdict))
        if item.config.option.port is not None and "port" in item.funcargs and not report.skipped:
            asked = getattr(call.excinfo and call.excinfo.value, "asked", None)
            calls = recorded(item.funcargs["port"].asked if asked is None else asked)
            report.user_properties.append(("calls", calls))
    return report


def call_of(item: pytest.Item, given: dict[str, Any]) -> str:
    """The call of a test, without the port."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in given.items())
    return f"{item.module.__name__}.{item.originalname}({arguments})"
