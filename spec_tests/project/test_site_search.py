"""What people type into the search leads to the page with the answer, first or second."""

from __future__ import annotations

import pytest

from spec_tests.project.site_browser import SITES, resize, served

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
    "normalization": "glossary/",
    "overfit": "training/",
    "learning rate": "training/",
    "loss": "tour/training/",
    "epsilon": "tour/attention/",
    "GPU": "training/",
    "cuda": "classify/",
    "onnx": "checkpoints/",
    "load pth": "checkpoints/",
    "pretrained weights": "checkpoints/",
    "kinetics labels": "classify/",
    "half precision": "classify/",
    "out of memory": "training/",
    "batch size": "training/",
    "resume training": "training/",
    "freeze backbone": "training/",
    "gradient checkpointing": "training/",
    "custom dataset": "training/",
    "confusion matrix": "training/",
    "webcam": "live/",
    "license": "contribute/",
    "bibtex": "contribute/",
    "api": "reference/",
    "الانتباه": "ar/",
}
"""Queries, and the page that answers each."""


ASK = """
for (const item of document.querySelectorAll(".md-search-result__item")) item.dataset.old = "";
const input = document.querySelector(".md-search__input");
input.value = arguments[0];
input.dispatchEvent(new Event("keyup"));
"""
ANSWER = """
const items = document.querySelectorAll(".md-search-result__item:not([data-old])");
return [...items].map((item) => item.querySelector("a").href);
"""


@pytest.fixture(scope="module")
def found(process):
    """A function from a query to the addresses of the pages that the search lists, best first."""
    from selenium.webdriver.support.wait import WebDriverWait

    with served(SITES["mkdocs"]) as address:
        resize(process, 1280)
        process.get(address)
        process.find_element("css selector", ".md-search__input").click()

        def search(query):
            process.execute_script(ASK, query)
            wait = WebDriverWait(process, 10, poll_frequency=0.05)
            links = wait.until(lambda _: process.execute_script(ANSWER))
            return [link.removeprefix(address) for link in links]

        yield search


@pytest.mark.parametrize("query", ANSWERS)
def test_the_page_with_the_answer_is_first_or_second(found, query):
    pages = [link.partition("?")[0].partition("#")[0] for link in found(query)]
    assert ANSWERS[query] in pages[:2], pages


def test_the_mutants_are_not_searched():
    index = (SITES["mkdocs"] / "search" / "search_index.json").read_text("utf-8")
    assert "Pixels right of and below" in index
    assert "remainder-cut-at-the-start" not in index
