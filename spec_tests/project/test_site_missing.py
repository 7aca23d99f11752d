"""A page whose data are missing fails the build."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from spec_tests.project.site_browser import need

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.site


@pytest.mark.parametrize(
    "pattern",
    ["build/fragments/code/**/*.py", "build/fragments/examples/*.txt", "docs/assets/figures/*.svg"],
)
def test_a_missing_fragment_or_figure_fails_the_build(pattern, tmp_path):
    need((ROOT / "build" / "fragments").is_dir(), "what docs/generate.py writes")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(ROOT / ".theme", tmp_path / ".theme")
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copytree(ROOT / "build" / "fragments", tmp_path / "build" / "fragments")
    missing = list(tmp_path.glob(pattern))
    assert missing
    for file in missing:
        file.unlink()
    build = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert any(file.name in done.stdout + done.stderr for file in missing)


@pytest.mark.parametrize("page", ["conformance", "mutants"])
def test_a_page_about_the_suite_without_its_data_is_not_written(page, tmp_path):
    pages = import_module("docs.making.suite_pages")
    with pytest.raises(FileNotFoundError):
        getattr(pages, f"{page}_page")(tmp_path / f"{page}.json")


def test_the_performance_page_without_its_data_is_not_written(tmp_path, monkeypatch):
    page = import_module("docs.making.performance_page")
    monkeypatch.setattr(page, "DATA", tmp_path)
    with pytest.raises(FileNotFoundError):
        page.performance_page()
