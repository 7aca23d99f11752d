"""The command `timesformer-ref`: one file per subcommand, or two that belong together."""

import signal
import sys
import warnings
from contextlib import suppress
from functools import cache
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer import Option

from timesformer_ref.cli.console import as_line, err, one_line, out, printable

COMMANDS = {
    "classify": "classify", "attend": "attend", "features": "features", "train": "train",
    "evaluate": "train", "inspect": "checkpoints", "convert": "checkpoints", "export": "export",
    "bench": "bench", "conform": "conform", "vectors": "conform",
}  # fmt: skip
"""The file of each command, by its name, in the order of the help."""


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        out.print(f"timesformer-ref {version('timesformer-ref')}")
        raise typer.Exit


def general(
    version: Annotated[
        bool, Option("--version", help="Show the version and exit.", callback=_show_version)
    ] = False,
    debug: Annotated[
        bool, Option("--debug", help="Show the traceback of an unexpected error.")
    ] = False,
) -> None:
    """The options that stand before the name of a command."""


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Print one line; how viewers show videos is a warning for the first of a run only."""
    if category.__name__ == "DisplayWarning":
        warnings.simplefilter("ignore", category)
        message = f"{message}; other videos of this run are not named"
    err.print(printable(f"warning: {str(message).splitlines()[0]}"))


def main() -> None:
    """Run the command line; errors are one line, exit code 2 for wrong use and 1 for a failure."""
    arguments, debug = _without_debug(sys.argv[1:])
    warnings.showwarning = _show_warning
    with suppress(ValueError):  # outside the main thread there are no signals
        # which ends as an error does, so that unfinished files are cleared
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    if isinstance(sys.stdout, TextIOWrapper):  # a name that its encoding lacks is no failure
        sys.stdout.reconfigure(errors="replace")
    try:
        code = run(arguments)
    except typer.TyperException as error:
        err.print(one_line(error.format_message()))
        code = error.exit_code
    except Exception as error:
        if debug:
            raise
        err.print(as_line(error))
        code = 1
    sys.exit(code)


def run(arguments: list[str]) -> Any:
    """Run a command line and return its exit code; errors are raised."""
    named = next((word for word in arguments if not word.startswith("-")), "")
    interface = _interface(named if named in COMMANDS else None)
    return interface(arguments or ["--help"], standalone_mode=False)


@cache
def _interface(command: str | None) -> Any:
    """The parsed interface of a command alone, whose options take long to parse, or of all."""
    app = typer.Typer(
        name="timesformer-ref",
        help="TimeSformer, the convolution-free video transformer: classify videos with the "
        "published checkpoints, through a readable NumPy and a fast PyTorch implementation of the "
        "same model.",
        rich_markup_mode=None,  # its boxes leave the help a third of the width
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(general)
    for name in [command] if command else COMMANDS:
        file = import_module(f"{__name__}.{COMMANDS[name]}")
        app.command()(getattr(file, name))
    return typer.main.get_command(app)


def _without_debug(arguments: list[str]) -> tuple[list[str], bool]:
    """Take `--debug` out of the arguments, wherever it stands, and return whether it was there."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    own = [argument for argument in arguments[:end] if argument != "--debug"]
    return own + arguments[end:], len(own) < end
