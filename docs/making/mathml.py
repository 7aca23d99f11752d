"""Formulas in TeX become MathML when the site is built; browsers draw it without a script."""

from __future__ import annotations

from typing import Any

from latex2mathml.converter import convert


def block(source: str, *_: Any, **__: Any) -> str:
    """A fence marked `math`: a formula on lines of its own."""
    return f'<div class="math">{convert(source, display="block")}</div>'


def inline(source: str, *_: Any, **__: Any) -> str:
    """Code that starts with `#!math`: a formula within a sentence."""
    return convert(source)
