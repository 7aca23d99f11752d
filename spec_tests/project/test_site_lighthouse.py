"""Lighthouse's marks for the pages that people meet first, as on a phone with a slow connection."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from spec_tests.project.site_browser import SITES, need, served

LIGHTHOUSE = "lighthouse@12.8.2"  # the last that runs on Node 18 to 20
OPTIONS = [
    "--output=json", "--quiet", "--disable-full-page-screenshot",
    "--only-categories=performance,accessibility,best-practices,seo",
    "--chrome-flags=--headless=new --no-sandbox --disable-dev-shm-usage",
]  # fmt: skip

pytestmark = pytest.mark.site


@pytest.fixture(scope="module")
def address():
    need(shutil.which("npx") and shutil.which("chromium"), "npx and chromium")
    with served(SITES["mkdocs"]) as address:
        yield address


def report(url, slowdown):
    """What Lighthouse says of a page, to a processor that many times slower than this one."""
    done = subprocess.run(
        ["npx", "--yes", LIGHTHOUSE, url, *OPTIONS,
         f"--throttling.cpuSlowdownMultiplier={slowdown}"],
        env=os.environ | {"CHROME_PATH": shutil.which("chromium")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.parametrize("page", ["", "tour/clip/", "specification/", "live/"])
def test_lighthouse_gives_at_least_98(address, page):
    """Performance counts where a processor is free, in the best of three tries.

    Lighthouse slows a machine of its benchmark 2000 down to a phone, by 4. A second try takes into
    account that this one is slower.
    """
    slowdown = 4
    for _ in range(3):
        is_busy = os.getloadavg()[0] > os.cpu_count() - 1
        found = report(address + page, slowdown)
        marks = {name: round(100 * of["score"]) for name, of in found["categories"].items()}
        if min(marks.values()) >= 98 or is_busy:
            break
        slowdown = max(1, 4 * min(found["environment"]["benchmarkIndex"] / 2000, 1))
    low = {name: audit.get("displayValue") for name, audit in found["audits"].items()
           if audit["score"] is not None and audit["score"] < 0.9}  # fmt: skip
    assert found["audits"]["cumulative-layout-shift"]["numericValue"] < 0.01
    if is_busy:
        del marks["performance"]
    assert min(marks.values()) >= 98, (marks, slowdown, low)
