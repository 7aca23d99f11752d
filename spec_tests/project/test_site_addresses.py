"""The site below a path of a public address, which the environment names."""

from __future__ import annotations

import re

import pytest

from spec_tests.project.site_browser import complaints, served
from spec_tests.project.site_builds import ROOT, build, lay_out

pytestmark = pytest.mark.site

PUBLIC = {
    "SITE_URL": "https://example.org/sub/",
    "REPO_URL": "https://example.org/repository",
    "EDIT_URI": "edit/main/docs/",
}


PAGES = ["index.md", "training.md", "porting/other-languages.md"]


@pytest.fixture(scope="module", params=["mkdocs", "zensical"])
def built(request, tmp_path_factory):
    """A folder with some pages of the site in its folder `sub`."""
    folder = tmp_path_factory.mktemp("public")
    lay_out(folder, {page: (ROOT / "docs" / page).read_text("utf-8") for page in PAGES})
    code, said = build(folder, request.param, SITE_DIR="public/sub", **PUBLIC)
    assert code == 0, said
    return folder / "public"


def test_pages_name_their_address_their_source_and_a_card(built):
    page = (built / "sub" / "training" / "index.html").read_text("utf-8")
    assert '<link rel="canonical" href="https://example.org/sub/training/">' in page
    assert 'href="https://example.org/repository/edit/main/docs/training.md"' in page
    assert 'href="https://example.org/repository"' in page
    (card,) = re.findall(r'<meta property="og:image" content="https://example.org/sub/(.*?)"', page)
    assert (built / "sub" / card).is_file()


def test_the_page_for_wrong_addresses_works_below_a_path_and_knows_moved_pages(built, process):
    (built / "index.html").touch()
    lost = (built / "sub" / "404.html").read_text("utf-8")
    for old in ("nowhere", "many-gpus", "porting/jax"):
        (built / "sub" / old).mkdir()
        (built / "sub" / old / "index.html").write_text(lost, "utf-8")
    with served(built) as address:
        complaints(process, address)
        process.get(f"{address}sub/nowhere/")
        assert process.find_element("css selector", "h1").text == "Page not found"
        assert complaints(process, address) == []
        process.find_element("link text", "Fine-tune on your own videos").click()
        assert process.current_url == f"{address}sub/training/"
        for old, new in [
            ("many-gpus", "training/#several-gpus"),
            ("porting/jax", "porting/other-languages/#jax"),
        ]:
            process.get(f"{address}sub/{old}/")
            assert process.current_url == f"{address}sub/{new}"
            anchor = new.partition("#")[2]
            assert process.find_elements("id", anchor)
