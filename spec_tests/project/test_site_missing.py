"""A page whose data are missing fails the build."""

from __future__ import annotations

from importlib import import_module

import pytest

from spec_tests.project.site_browser import BUILD
from spec_tests.project.site_builds import build, lay_out

pytestmark = pytest.mark.site

KINDS = [
    "build/fragments/code/**/*.py",
    "build/fragments/examples/*.txt",
    "docs/assets/figures/*.svg",
]
PAGE = """# A page

--8<-- "{}"

--8<-- "{}"

![A figure](assets/figures/{})
"""


@pytest.mark.parametrize("missing", [None, *KINDS])
def test_a_missing_fragment_or_figure_fails_the_build(missing, tmp_path):
    code, example, figure = (next(BUILD.parent.glob(kind)) for kind in KINDS)
    fragments = BUILD / "fragments"
    names = code.relative_to(fragments), example.relative_to(fragments), figure.name
    lay_out(tmp_path, {"index.md": PAGE.format(*names)})
    if missing:
        lost = next(BUILD.parent.glob(missing)).relative_to(BUILD.parent)
        (tmp_path / lost).unlink()
    code, said = build(tmp_path, "mkdocs", "--strict")
    assert (code != 0) == bool(missing), said
    assert not missing or lost.name in said


def test_pages_about_the_suite_without_its_data_are_not_written(tmp_path):
    pages = import_module("docs.making.suite_pages")
    with pytest.raises(FileNotFoundError):
        pages.conformance_page(tmp_path / "conformance.json")
    with pytest.raises(FileNotFoundError):
        pages.write_mutants(tmp_path / "mutants.json", tmp_path)


def test_the_performance_page_without_its_data_is_not_written(tmp_path, monkeypatch):
    page = import_module("docs.making.performance_page")
    monkeypatch.setattr(page, "DATA", tmp_path)
    with pytest.raises(FileNotFoundError):
        page.performance_page()
