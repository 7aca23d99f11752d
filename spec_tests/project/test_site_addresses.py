"""The site below a path of a public address, which the environment names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spec_tests.project.site_browser import chromium, complaints, need, served
from spec_tests.project.test_docs import ROOT

pytestmark = pytest.mark.site

PUBLIC = {
    "SITE_URL": "https://example.org/sub/",
    "REPO_URL": "https://example.org/repository",
    "EDIT_URI": "edit/main/docs/",
}


@pytest.fixture(scope="module", params=["mkdocs", "zensical"])
def built(request):
    """A folder with the site in its folder `sub`."""
    need((ROOT / "build" / "fragments").is_dir(), "docs/generate.py's fragments")
    folder = ROOT / "build" / f"below-a-path-{request.param}"  # Zensical writes nowhere else
    place = {"SITE_DIR": os.path.relpath(folder / "sub", ROOT)}
    program = Path(sys.executable).with_name(request.param)
    done = subprocess.run(
        [program, "build", "--strict"],
        cwd=ROOT,
        env=os.environ | PUBLIC | place,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    yield folder
    shutil.rmtree(folder)


def test_pages_name_their_address_their_source_and_a_card(built):
    page = (built / "sub" / "training" / "index.html").read_text("utf-8")
    assert '<link rel="canonical" href="https://example.org/sub/training/">' in page
    assert 'href="https://example.org/repository/edit/main/docs/training.md"' in page
    assert 'href="https://example.org/repository"' in page
    (card,) = re.findall(r'<meta property="og:image" content="https://example.org/sub/(.*?)"', page)
    assert (built / "sub" / card).is_file()


def test_the_page_for_wrong_addresses_works_below_a_path_and_knows_moved_pages(built):
    (built / "index.html").touch()
    lost = (built / "sub" / "404.html").read_text("utf-8")
    for old in ("nowhere", "many-gpus", "porting/jax"):
        (built / "sub" / old).mkdir()
        (built / "sub" / old / "index.html").write_text(lost, "utf-8")
    with served(built) as address, chromium() as browser:
        complaints(browser, address)
        browser.get(f"{address}sub/nowhere/")
        assert browser.find_element("css selector", "h1").text == "Page not found"
        assert complaints(browser, address) == []
        browser.find_element("link text", "Fine-tune on your own videos").click()
        assert browser.current_url == f"{address}sub/training/"
        for old, new in [
            ("many-gpus", "training/#several-gpus"),
            ("porting/jax", "porting/other-languages/#jax"),
        ]:
            browser.get(f"{address}sub/{old}/")
            assert browser.current_url == f"{address}sub/{new}"
            anchor = new.partition("#")[2]
            assert browser.find_elements("id", anchor)
