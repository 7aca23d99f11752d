"""`timesformer-ref conform` and `timesformer-ref vectors`, which use the suite."""

import os
import tempfile
from functools import cache
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument

from timesformer_ref.cli.console import err, out, printable, progress_bar, require, wrong_use
from timesformer_ref.cli.options import file, flag, value


def conform(
    port: Annotated[
        str,
        Argument(
            help="The port: FILE.py, package.module, or 'cmd:COMMAND' for a program.",
            metavar="PORT",
        ),
    ],
    pytest_args: Annotated[
        list[str] | None,
        Argument(
            help="Further arguments for pytest, after --, such as -- -x -k gelu.",
            metavar="PYTEST_ARGS",
        ),
    ] = None,
    report: Annotated[
        list[Path] | None,
        file("Write the report to FILE, a .json or .html; give it twice for both."),
    ] = None,
    checkpoint: Annotated[Path | None, file("Compare logits on this checkpoint, too.")] = None,
    video: Annotated[Path | None, file("With --checkpoint: on a clip of this video.")] = None,
    port_timeout: Annotated[
        float, value("Seconds per call of a program; with --checkpoint 60 times that.", "S")
    ] = 10.0,
    thorough: Annotated[
        bool, flag("--thorough", "Try twenty times as many inputs, and new ones.")
    ] = False,
    full_size: Annotated[
        bool, flag("--full-size", "Run ViT-Base, however long the port takes for it.")
    ] = False,
) -> None:
    """Test a port of TimeSformer against the specification.

    For example: timesformer-ref conform my_port.py --report report.html

    The exit code is pytest's: 0 if nothing failed, 1 if something did, 4 for a port that cannot be
    tested.
    """
    if pytest_args and not pytest_args[0].startswith("-"):
        raise typer.BadParameter(
            f"a run tests one port: run {pytest_args[0]} after {port}", param_hint="PORT"
        )
    suite = find_suite()
    out.print(f"testing {printable(port)}: each requirement is named when its tests begin")
    import pytest

    # with =, since pytest at first takes the word after an option of the suite for a file of tests
    words = [f"--port={port}", f"--port-timeout={port_timeout}"]
    words += [f"--report={path}" for path in report or ()]
    words += [f"--checkpoint={checkpoint}"] if checkpoint else []
    words += [f"--video={video}"] if video else []
    words += ["--hypothesis-profile=thorough"] if thorough else []
    words += ["--full-size"] if full_size else []
    with tempfile.TemporaryDirectory(prefix="timesformer-conform-") as room:
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = room
        # pytest reads nothing from the user's folder and leaves nothing there
        apart = ["-c", os.devnull, f"--rootdir={suite}", f"--confcutdir={suite}"]
        apart += ["-o", f"cache_dir={room}", "--no-header", "-q"]
        code = pytest.main([str(suite), *apart, *words, *(pytest_args or ())])
    raise typer.Exit(int(code))


def find_suite() -> Path:
    """The folder of the suite, which lies beside this package.

    Exits with a line where it is missing, or where another package of the name `spec_tests` comes
    first or has written into it.
    """
    require("test", "pytest", "hypothesis", "spec_tests")
    own = Path(__file__).parents[2] / "spec_tests"
    spec = find_spec("spec_tests")
    assert spec
    found = Path((spec.submodule_search_locations or [str(spec.origin)])[0])
    beside = distributions(path=[str(own.parent)])
    writers = {d.name for d in beside if "\nspec_tests/" in f"\n{d.read_text('RECORD')}"}
    others = writers - {"timesformer-ref"}
    if found == own and not others:
        return own
    why = f"{', '.join(others)} has put files into it" if others else f"{found} comes before it"
    err.print(
        f"error: spec_tests of timesformer-ref lies in {own}, but {why}: rename or uninstall the "
        "other, or use an environment of its own"
    )
    raise typer.Exit(1)


def vectors(
    folder: Annotated[Path, Argument(help="A new folder to write to, or an earlier run's.")],
    small: Annotated[bool, flag("--small", "Fewer cases: less than 3 MB instead of 20.")] = False,
) -> None:
    """Write the cases of the conformance suite as files, for tests of a port in any language.

    Each case is a request as `conform` sends it to a program, with the expected answer, how far
    off it may be in each arithmetic, and the requirements that it is about. No Python is needed to
    use them.
    """
    find_suite()
    from spec_tests.harness.vectors import write_vectors

    with wrong_use(), progress_bar() as bar:
        task = cache(bar.add_task)

        def show(what: str, done: int, of: int) -> None:
            bar.update(task(what), completed=done, total=of)

        count = write_vectors(folder, small, show)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    out.print(f"{folder}: {count} cases in {size / 1e6:.1f} MB")
