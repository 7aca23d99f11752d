"""Formulas: as TeX would set them, in glyphs that come with the site."""

from __future__ import annotations

import re
from html import unescape

import pytest

from spec_tests.project.site_browser import BUILD, SITES, need

ROOT = BUILD.parent

pytestmark = pytest.mark.site


@pytest.fixture(scope="module")
def mathml():
    pytest.importorskip("latex2mathml")
    from docs.making.mathml import mathml

    return lambda source: mathml(source, "inline")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        # a thin space after a function, and before it where a factor precedes; none at a bracket
        (r"-\log \mathrm{softmax}", '<mo lspace="0" rspace="0.167em">log</mo><mi>softmax</mi>'),
        (r"s = \max(a)", '<mo lspace="0" rspace="0">max</mo><mo stretchy="false">(</mo>'),
        (r"W \operatorname{diag} s", '<mo lspace="0.167em" rspace="0.167em">diag</mo>'),
        (r"\min\left( x \right)", '<mo lspace="0" rspace="0">min</mo><mrow><mo'),
        (r"\max_{i} x", '<msub><mo lspace="0" rspace="0.167em">max</mo>'),
        (r"W_{\mathrm{head}}", "<mi>W</mi><mrow><mi>head</mi></mrow>"),
        (r"\boldsymbol{\gamma}", "<mi>𝜸</mi>"),
        (r"t'", '<mrow><mi>t</mi><mo lspace="0" rspace="0">′</mo></mrow>'),
        (r"z'_p", '<msub><mrow><mi>z</mi><mo lspace="0" rspace="0">′</mo></mrow><mi>p</mi></msub>'),
        (r"a ; b", '<mo stretchy="false">;</mo>'),
    ],
)
def test_formulas_are_set_as_by_tex(mathml, source, expected):
    assert expected in mathml(source)


def characters_of_the_font():
    """What the font covers, as its stylesheet says."""
    styles = (ROOT / "docs" / "assets" / "math.css").read_text("utf-8")
    (ranges,) = re.findall(r"unicode-range: (.*);", styles)
    ends = [part.removeprefix("U+").split("-") for part in ranges.split(", ")]
    return {chr(c) for pair in ends for c in range(int(pair[0], 16), int(pair[-1], 16) + 1)}


def italic(letter):
    """A letter by itself is drawn slanted, by another character."""
    from unicodedata import lookup, name

    if letter == "h":
        return "ℎ"
    if not re.fullmatch("[A-Za-zΑ-Ωα-ω]", letter):
        return letter
    return lookup("MATHEMATICAL ITALIC " + re.sub("LATIN|GREEK|LETTER ", "", name(letter)).strip())


@pytest.mark.parametrize("site", SITES)
def test_every_character_of_a_formula_comes_with_the_site(site):
    need((SITES[site] / "index.html").is_file(), f"the site built in {SITES[site]}")
    covered, found = characters_of_the_font(), set()
    for page in SITES[site].rglob("*.html"):
        html = page.read_text("utf-8")
        formulas = re.findall("<math.*?</math>", html, re.S)
        assert bool(formulas) == ("assets/math.css" in html), page
        for formula in formulas:
            text = unescape(re.sub("<[^>]*>", "", formula))
            found |= set(text) - {"\n"}
            found |= {italic(unescape(letter)) for letter in re.findall("<mi>([^<]*)</mi>", formula)
                      if len(unescape(letter)) == 1}  # fmt: skip
            found |= set("√" * ("<msqrt" in formula or "<mroot" in formula))
    assert len(found) > 50
    assert found - covered == set()
