"""What people type into the search leads to the page with the answer, first or second."""

from __future__ import annotations

import pytest

from spec_tests.project.site_browser import SITES, chromium, resize, served

pytestmark = pytest.mark.site

ANSWERS = {
    "fine-tune": "training/",
    "how do I fine-tune": "training/",
    "attention map": "attention/",
    "heat map": "attention/",
    "class token": "tour/classifier/",
    "positional encoding": "tour/patchify/",
    "pixel_values": "from-transformers/",
    "last_hidden_state": "from-transformers/",
    "BGR": "tour/clip/",
    "overfit": "training/",
    "epsilon": "tour/attention/",
    "GPU": "training/",
    "cuda": "classify/",
    "الانتباه": "ar/",
}
"""Queries, and the page that answers each."""


@pytest.fixture(scope="module")
def found():
    """A function from a query to the addresses of the pages that the search lists, best first."""
    from selenium.webdriver.support.wait import WebDriverWait

    with served(SITES["mkdocs"]) as address, chromium() as browser:
        resize(browser, 1280)

        def search(query):
            browser.get(address)
            browser.find_element("css selector", ".md-search__input").send_keys(query)
            links = "return [...document.querySelectorAll('.md-search-result__item')].map(i => i."
            links += "querySelector('a').href)"
            WebDriverWait(browser, 10).until(lambda _: browser.execute_script(links))
            return [link.removeprefix(address) for link in browser.execute_script(links)]

        yield search


@pytest.mark.parametrize("query", ANSWERS)
def test_the_page_with_the_answer_is_first_or_second(found, query):
    pages = [link.partition("?")[0].partition("#")[0] for link in found(query)]
    assert ANSWERS[query] in pages[:2], pages


def test_the_table_of_mutants_is_not_searched(found):
    assert not any(link.startswith("mutants/") for link in found("class token"))
