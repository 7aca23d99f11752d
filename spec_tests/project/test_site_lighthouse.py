"""Lighthouse's marks for the pages that people meet first."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from spec_tests.project.site_browser import SITES, need, served

LIGHTHOUSE = "lighthouse@12.8.2"  # the last that runs on Node 18 to 20

pytestmark = pytest.mark.site


@pytest.mark.parametrize("page", ["", "tour/patchify/", "specification/", "live/"])
def test_lighthouse_gives_at_least_95(page):
    need(shutil.which("npx") and shutil.which("chromium"), "npx and chromium")
    with served(SITES["mkdocs"]) as address:
        done = subprocess.run(
            ["npx", "--yes", LIGHTHOUSE, address + page, "--output=json", "--quiet",
             "--only-categories=accessibility,best-practices,seo",
             "--chrome-flags=--headless=new --no-sandbox --disable-dev-shm-usage"],
            env=os.environ | {"CHROME_PATH": shutil.which("chromium")},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    report = json.loads(done.stdout)
    marks = {name: round(100 * told["score"]) for name, told in report["categories"].items()}
    low = [name for name, audit in report["audits"].items() if audit["score"] == 0]
    assert min(marks.values()) >= 95, (marks, low)
