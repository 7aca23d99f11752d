"""Formulas in TeX become MathML when the site is built; browsers draw it without a script."""

from __future__ import annotations

import unicodedata
from itertools import pairwise
from typing import Any
from xml.etree.ElementTree import Element, fromstring, tostring

from latex2mathml.converter import convert

THIN = "0.167em"
SCRIPTS = {"msub", "msup", "msubsup", "munder", "mover", "munderover"}
PRIMES = {"′", "″", "‴"}


def block(source: str, *_: Any, **__: Any) -> str:
    """A fence marked `math`: a formula on lines of its own."""
    return f'<div class="math">{mathml(source, "block")}</div>'


def inline(source: str, *_: Any, **__: Any) -> str:
    """Code that starts with `#!math`: a formula within a sentence."""
    return mathml(source, "inline")


def mathml(source: str, display: str) -> str:
    """The formula as TeX would set it, where the converter's elements are not drawn so."""
    formula = fromstring(convert(source, xmlns="", display=display))
    for mend in (space_functions, write_signs, join_letters, embolden, raise_primes):
        for element in list(formula.iter()):
            mend(element)
    return tostring(formula, encoding="unicode")


def space_functions(row: Element) -> None:
    """Functions such as log keep a thin space from what they apply to, but for its bracket."""
    beside = row[1:] if row.tag in SCRIPTS else row
    for (before, this), (_, after) in pairwise(pairwise([None, *beside, None])):
        name = base(this)
        if not (len(name.text or "") > 1 and name.text.isalpha() and name.tag in ("mi", "mo")):
            continue
        name.tag = "mo"
        follows = before is not None and base(before).tag not in ("mo", "mspace")
        opens = after is None or after.text in ("(", "[") or opens_fence(after)
        name.attrib |= {"lspace": THIN if follows else "0", "rspace": "0" if opens else THIN}


def base(element: Element) -> Element:
    """What stands below and before all indices."""
    return base(element[0]) if element.tag in SCRIPTS else element


def opens_fence(element: Element) -> bool:
    """Whether this is a group between two brackets that grow with it."""
    return len(element) > 0 and element[0].get("form") == "prefix"


def write_signs(sign: Element) -> None:
    """A semicolon and the brackets of rounding are no names of variables."""
    if sign.tag == "mi" and sign.text in (";", "⌊", "⌋", "⌈", "⌉"):
        sign.tag = "mo"
        sign.set("stretchy", "false")


def join_letters(row: Element) -> None:
    """A word of upright letters is one name, not a product."""
    if len(row) > 1 and all(c.tag == "mi" and c.get("mathvariant") == "normal" for c in row):
        word = "".join(letter.text or "" for letter in row)
        row.clear()
        row.tag, row.text = "mi", word


def embolden(letter: Element) -> None:
    """Browsers have no attribute for bold letters, but Unicode has the letters."""
    if letter.get("mathvariant") == "bold-italic" and letter.text:
        name = unicodedata.name(letter.text).removeprefix("GREEK ").replace("LETTER ", "")
        letter.text = unicodedata.lookup(f"MATHEMATICAL BOLD ITALIC {name}")
        del letter.attrib["mathvariant"]


def raise_primes(scripts: Element) -> None:
    """A prime is raised and small by itself; as an exponent it would be a speck."""
    if scripts.tag in ("msup", "msubsup") and scripts[-1].text in PRIMES:
        primed, prime = Element("mrow"), scripts[-1]
        prime.tag = "mo"
        prime.attrib |= {"lspace": "0", "rspace": "0"}
        primed.extend([scripts[0], prime])
        indices = scripts[1:-1]
        scripts[:] = [primed, *indices]
        scripts.tag = "msub" if indices else "mrow"
