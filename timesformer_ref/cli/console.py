"""The output of the command line: text, errors and progress."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from platform import python_version
from traceback import extract_tb

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

# Names of files and classes may look like markup or emoji, and are to be shown as they are.
out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)


def progress_bar() -> Progress:
    """A progress bar on standard error, if that is a terminal; it disappears at the end."""
    return Progress(console=err, transient=True, disable=not err.is_terminal)


def require(extra: str, *packages: str) -> None:
    """Exit with a line that names what to install if a package of an extra is missing."""
    for name in packages:
        if find_spec(name) is None:
            err.print(f"error: {name} is missing: pip install 'timesformer-ref[{extra}]'")
            raise typer.Exit(1)


def bars(shares: Iterable[tuple[float, str]]) -> Table:
    """A table of parts of a whole, each as a percentage, a bar and its name."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(justify="right")
    table.add_column(style="cyan", width=20)
    table.add_column(overflow="fold")
    for share, name in shares:
        table.add_row(f"{100 * share:.1f} %", "█" * round(20 * share), name)
    return table


@contextmanager
def wrong_use() -> Iterator[None]:
    """Report a ValueError as wrong use of the command line."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def printable(text: str) -> str:
    """A text from a file, with control characters escaped."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def one_line(error: Exception | str) -> str:
    """An error as the one line that the user sees."""
    if isinstance(error, OSError) and error.filename is not None:
        error = f"{error.filename}: {error.strerror}"
    return f"error: {printable(' '.join(str(error).splitlines()))}"


def as_line(error: Exception) -> str:
    """An error as one line; where it was not foreseen, with its place and what to report."""
    if is_ours(error):
        return one_line(error)
    from importlib.metadata import requires, version

    package = Path(__file__).parents[1]
    places = [f for f in extract_tb(error.__traceback__) if package in Path(f.filename).parents]
    at = f"{Path(places[-1].filename).relative_to(package)}:{places[-1].lineno}" if places else "?"
    needed = [line for line in requires("timesformer-ref") or () if "extra ==" not in line]
    names = ("timesformer-ref", *(re.split(r"[^\w.-]", line)[0] for line in needed))
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    return (
        f"{one_line(f'{type(error).__name__}: {error}')} (at {at}). This was not foreseen: please "
        f"report this line (--debug shows the traceback). Python {python_version()}, {versions}"
    )


def is_ours(error: Exception) -> bool:
    """Whether an error's message is meant for the user, so that no traceback is needed."""
    from torch import OutOfMemoryError

    own = type(error).__module__.startswith("timesformer_ref.")
    return own or isinstance(error, OSError | MemoryError | OutOfMemoryError)
