"""The overview in Arabic, in a browser: from right to left, and found by an Arabic word."""

from __future__ import annotations

import pytest

from spec_tests.project.site_browser import SITES, resize, served

pytestmark = pytest.mark.site


@pytest.fixture(scope="module", params=SITES)
def address(request):
    with served(SITES[request.param]) as address:
        yield address


@pytest.fixture
def browser(process):
    return process


EDGES = """
const box = element => { const range = document.createRange(); range.selectNodeContents(element);
  return [range.getBoundingClientRect(), element.parentElement.getBoundingClientRect()] };
return [...document.querySelectorAll('.md-content :is(h1, h2)')].map(heading => {
  const [text, room] = box(heading);
  return [text.right - room.right, text.left - room.left] })
"""
"""For each heading how far its text ends from the right and left of its column."""


@pytest.mark.parametrize("width", [1440, 390])
def test_text_starts_at_the_right_and_code_at_the_left(browser, address, width):
    resize(browser, width)
    browser.get(f"{address}ar/")
    edges = browser.execute_script(EDGES)
    assert len(edges) > 4
    for right, left in edges:
        assert abs(right) < left
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width

    def styles(selector, *names):
        found = browser.find_elements("css selector", f".md-content {selector}")
        return {tuple(e.value_of_css_property(name) for name in names) for e in found}

    assert styles("[lang=ar] :is(p, li, td)", "direction") == {("rtl",)}
    assert styles("[lang=ar] :is(code, pre)", "direction", "unicode-bidi") == {("ltr", "isolate")}
    assert styles("[lang=ar] bdi", "unicode-bidi") == {("isolate",)}


def test_no_latin_word_of_a_sentence_stands_without_isolation(browser, address):
    browser.get(f"{address}ar/")
    latin = browser.execute_script("""
      const room = document.querySelector('div[lang=ar]');
      const walk = document.createTreeWalker(room, NodeFilter.SHOW_TEXT), found = [];
      while (walk.nextNode()) {
        const at = walk.currentNode.parentElement;
        const within = at.closest('bdi, code, pre, button, .headerlink');
        if (!within && /[A-Za-z]/.test(walk.currentNode.data)) found.push(walk.currentNode.data);
      }
      return found""")
    assert latin == []


def test_an_arabic_word_finds_the_page(browser):
    from selenium.webdriver.support.wait import WebDriverWait

    with served(SITES["mkdocs"]) as address:
        resize(browser, 1440)
        browser.get(address)
        browser.find_element("css selector", ".md-search__input").send_keys("الانتباه")
        links = WebDriverWait(browser, 10, poll_frequency=0.05).until(
            lambda _: browser.find_elements("css selector", ".md-search-result__link")
        )
        assert f"{address}ar/" in links[0].get_attribute("href")
