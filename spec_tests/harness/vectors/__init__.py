"""The suite's calls as files, for tests in any language: recorded, chosen, written."""

from __future__ import annotations

from pathlib import Path

from spec_tests.harness.vectors.choosing import FULL, SMALL, chosen
from spec_tests.harness.vectors.recording import Recorded, Show, record
from spec_tests.harness.vectors.writing import Writer, cases_of, is_free
from timesformer_ref.atomic import whole_folder


def write_vectors(folder: Path, small: bool, show: Show, only: str = "") -> int:
    """Write the suite's cases to a folder, whole or not at all, and return how many there are.

    small: less than 3 MB. show: called with what is being done, how much is done, and how much
    there is. only: which tests, as pytest's -k. Raises ValueError for a folder that holds something
    else than vectors.
    """
    if not is_free(folder):
        raise ValueError(f"{folder}: holds something else than vectors; name a new folder")
    with whole_folder(folder) as new:
        return write_recorded(record(show, only), new, small, show)


def write_recorded(recorded: Recorded, folder: Path, small: bool, show: Show) -> int:
    """Write what was recorded to an empty folder, and return how many cases there are."""
    recorder, left_out = recorded
    tests, too_large = chosen(recorder.tests, SMALL if small else FULL)
    cases, writer = list(cases_of(tests)), Writer(recorder, folder)
    for done, case in enumerate(cases):
        show("write", done, len(cases))
        writer.write(case)
    writer.finish(left_out + too_large)
    return len(cases)
