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
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copytree(ROOT / "build" / "fragments", tmp_path / "build" / "fragments")
    missing = list(tmp_path.glob(pattern))
    assert missing
    for file in missing:
        file.unlink()
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert any(file.name in done.stdout + done.stderr for file in missing)


@pytest.mark.parametrize(
    ("module", "page", "data"),
    [
        ("performance_page", "performance_page", ""),
        ("suite_pages", "conformance_page", "conformance.json"),
        ("suite_pages", "mutants_page", "mutants.json"),
    ],
)
def test_a_generated_page_without_its_data_is_not_written(module, page, data, tmp_path):
    write = getattr(import_module(f"docs.making.{module}"), page)
    with pytest.raises(FileNotFoundError):
        write(tmp_path / data)
