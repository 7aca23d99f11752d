"""All links, anchors and pictures of the built site lead somewhere; pages have descriptions."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from spec_tests.project.site_browser import BUILD, SITES, need

pytestmark = pytest.mark.site


class Page(HTMLParser):
    """A page's links, the places that a link can name, its description, pictures without a size."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links, self.places, self.description = set(), {""}, ""
        self.sizeless, self.pictures = set(), set()
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        told = {name: value or "" for name, value in attributes}
        self.links |= {told[name] for name in ("href", "src") if name in told}
        self.places |= {told[name] for name in ("id", "name") if name in told}
        if tag == "img":
            self.pictures.add(told["src"])
        if tag == "img" and not (told.get("width") and told.get("height")):
            self.sizeless.add(told["src"])
        if told.get("name") == "description":
            self.description = told["content"]


@pytest.fixture(scope="module", params=SITES)
def site(request):
    folder = SITES[request.param]
    need((folder / "index.html").is_file(), f"the site built in {folder}")
    return {file: Page(file) for file in folder.rglob("*.html") if file.name != "404.html"}


def target(file: Path, link: str) -> tuple[Path, str]:
    """The file and the place in it that a page's link names."""
    parts = urlsplit(link)
    path = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    return path / "index.html" if path.is_dir() else path, unquote(parts.fragment)


def test_every_link_and_anchor_leads_somewhere(site):
    broken = []
    for file, page in site.items():
        for link in page.links:
            if urlsplit(link).scheme:
                continue
            path, place = target(file, link)
            if not path.is_file() or (path in site and place not in site[path].places):
                broken.append((file.parent.name, link))
    assert broken == []


def test_every_page_that_was_merged_leads_to_its_place(site):
    root = next(file.parent for file in site if file.with_name("sitemap.xml").is_file())
    lost = (root / "404.html").read_text("utf-8")
    moved = re.findall(r'"([\w/-]+)": "([^"]+)"', lost.partition("moved = {")[2].partition("}")[0])
    assert len(moved) > 10
    for old, new in moved:
        assert not (root / old / "index.html").exists(), old
        path, place = target(root / "404.html", new)
        assert place in site[path].places, new


MADE = {"search_index.json", "search.json", "sitemap.xml", "sitemap.xml.gz", "objects.inv"}
"""What the builders write beside pages, outside the folder of assets."""


@pytest.mark.parametrize("name", SITES)
def test_no_source_of_the_site_is_copied_into_it(name):
    files = [f.relative_to(SITES[name]) for f in SITES[name].rglob("*") if f.is_file()]
    beside = {f.name for f in files if f.parts[0] != "assets" and f.suffix not in (".html", ".svg")}
    assert beside - MADE == set()


def test_every_page_has_a_description(site):
    assert [file.parent.name for file, page in site.items() if not page.description] == []


def test_no_page_names_a_folder_of_the_machine_that_built_it(site):
    assert [file for file in site if str(BUILD.parent) in file.read_text("utf-8")] == []


def test_every_picture_but_the_logo_has_a_size_so_that_nothing_moves_as_it_loads(site):
    sizeless = {src for page in site.values() for src in page.sizeless}
    assert {src for src in sizeless if not src.endswith("assets/icon.svg")} == set()


def test_no_picture_moves_by_itself_since_nobody_could_pause_it(site):
    files = {target(file, src)[0] for file, page in site.items() for src in page.pictures}
    assert {file.suffix for file in files} <= {".svg", ".png", ".jpg"}
    drawn = {file.name: file.read_text("utf-8") for file in files if file.suffix == ".svg"}
    assert len(drawn) > 10
    assert [name for name, svg in drawn.items() if "@keyframes" in svg or "<animate" in svg] == []
