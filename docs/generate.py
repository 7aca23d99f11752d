"""Write every generated page, figure and fragment of the site: python docs/generate.py."""

from __future__ import annotations

import os
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from docs.making.checkpoint_tables import write_checkpoint_tables
from docs.making.citation import write_citation, write_version
from docs.making.code import write_code
from docs.making.commands import COMMANDS, write_commands
from docs.making.dependencies import write_dependencies, write_installs
from docs.making.examples import EXAMPLES, write_output
from docs.making.experiment import experiment_part
from docs.making.explorer_data import write_explorer
from docs.making.figures import write_figures
from docs.making.figures.divided_steps import write_divided_steps
from docs.making.figures.experiment import draw_experiment
from docs.making.figures.schemes import draw_schemes
from docs.making.fine_tuning import write_fine_tuning
from docs.making.interface_tables import write_interface
from docs.making.live import VECTORS, write_live, write_small_vectors
from docs.making.performance_page import performance_page
from docs.making.port_code import write_port_code
from docs.making.port_figures import write_port_figures
from docs.making.reference_pages import card, help_of_commands, variants_table, weights_tables
from docs.making.suite_pages import conformance_page, write_mutants
from docs.making.suite_runs import RUNS, write_run
from docs.making.twins import write_twins
from docs.making.vectors import write_vectors
from docs.making.versions_table import write_versions
from docs.making.waking import what_was_recorded

DOCS = Path(__file__).parent
FRAGMENTS = DOCS.parent / "build" / "fragments"


def main() -> None:
    """Write figures to `assets/`, the pages that are all data, and fragments for the others.

    Each step is a process of its own, in which everything is imported already.
    """
    FRAGMENTS.mkdir(parents=True, exist_ok=True)
    start = perf_counter()
    with get_context("fork").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        for number, step in enumerate(pool.imap_unordered(take, STEPS), 1):
            print(f"{number:2} of {len(STEPS)}: {step}", flush=True)
    print(f"{perf_counter() - start:.0f} seconds")


def take(step: tuple[Any, ...]) -> str:
    """Take a step in one thread, and return what it is called."""
    write, *arguments = step
    torch.set_num_threads(1)
    write(*arguments)
    names = (argument for argument in arguments if isinstance(argument, str))
    return " ".join([write.__name__.replace("_", " "), *names])


def write_pages() -> None:
    """Write what is text as a whole: pages, and fragments of them."""
    texts = {
        FRAGMENTS / "variants.md": variants_table(),
        FRAGMENTS / "weights.md": weights_tables(),
        FRAGMENTS / "help.md": help_of_commands(),
        FRAGMENTS / "camera-motion.md": card(),
        FRAGMENTS / "experiment.md": experiment_part(DOCS / "experiment" / "results.json"),
        FRAGMENTS / "waking.md": what_was_recorded(),
        DOCS / "performance.md": performance_page(),
        DOCS / "conformance.md": conformance_page(DOCS / "data" / "conformance.json"),
    }
    for file, text in texts.items():
        file.write_text(text, encoding="utf-8")


STEPS: list[tuple[Any, ...]] = [
    (write_small_vectors, VECTORS, DOCS / "assets"),
    *((write_run, name, FRAGMENTS / "runs") for name in RUNS),
    *((write_commands, name, FRAGMENTS / "commands") for name in COMMANDS),
    *((write_output, name, FRAGMENTS / "examples") for name in EXAMPLES),
    (write_code, FRAGMENTS / "code"),
    (write_twins, FRAGMENTS / "twins"),
    (write_port_code, FRAGMENTS / "code"),
    (write_port_figures, DOCS / "data" / "conformance.json", FRAGMENTS / "ports"),
    (write_interface, FRAGMENTS / "interface"),
    (write_explorer, FRAGMENTS / "explorer.json"),
    (write_vectors, DOCS / "data" / "vectors.json", FRAGMENTS / "vectors"),
    (write_mutants, DOCS / "data" / "mutants.json", FRAGMENTS / "mutants"),
    (write_citation, FRAGMENTS / "cite.bib"),
    (write_version, FRAGMENTS / "version.md"),
    (write_checkpoint_tables, DOCS / "data" / "fuzz.json", FRAGMENTS / "checkpoints"),
    (write_fine_tuning, FRAGMENTS / "fine_tuning"),
    (write_dependencies, FRAGMENTS / "dependencies.md"),
    (write_installs, DOCS / "data" / "installs.json", FRAGMENTS / "installs.md"),
    (write_versions, DOCS / "data" / "versions.json", FRAGMENTS / "versions.md"),
    (draw_schemes, DOCS / "assets" / "schemes.svg"),
    (write_figures, DOCS / "assets" / "figures"),
    (write_divided_steps, DOCS / "assets" / "figures" / "divided-steps.svg"),
    (write_live, DOCS / "assets"),
    (draw_experiment, DOCS / "experiment" / "results.json"),
    (write_pages,),
]
"""What is called, with its arguments; what takes longest comes first."""


if __name__ == "__main__":
    main()
