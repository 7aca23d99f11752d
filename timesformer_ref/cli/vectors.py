"""`timesformer-ref vectors`."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from timesformer_ref.cli.console import out, progress_bar, require, wrong_use


def vectors(
    folder: Annotated[Path, Argument(help="A new folder to write to, or an earlier run's.")],
    small: Annotated[
        bool, Option("--small", help="Fewer cases: less than 3 MB instead of 20.")
    ] = False,
) -> None:
    """Write the cases of the conformance suite as files, for tests of a port in any language.

    Each case is a request as `conform` sends it to a program, with the expected answer, how far
    off it may be in each arithmetic, and the requirements that it is about. No Python is needed to
    use them.
    """
    require("test", "pytest", "hypothesis", "spec_tests")
    from spec_tests.harness.vectors import write_vectors

    with wrong_use(), progress_bar() as bar:
        tasks = {}

        def show(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what)
            bar.update(tasks[what], completed=done, total=of)

        count = write_vectors(folder, small, show)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    out.print(f"{folder}: {count} cases in {size / 1e6:.1f} MB")
