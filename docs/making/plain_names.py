"""Names and spaces in code stand without elements of their own, whose colour would be that of code.

A third of what a browser styles on a page full of code would be such elements.
"""

from __future__ import annotations

import re
from typing import Any

from markdown import Extension, Markdown
from markdown.postprocessors import Postprocessor


class PlainNames(Postprocessor):
    """Takes the elements of Pygments away again from names (`n`) and white space (`w`)."""

    def run(self, text: str) -> str:
        """The page's HTML, less those elements."""
        return re.sub(r'<span class="[nw]">([^<]*)</span>', r"\1", text)


class PlainNamesExtension(Extension):
    """The extension, which `mkdocs.yml` names by its module."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        """Run when code is back in its place."""
        md.postprocessors.register(PlainNames(md), "plain_names", 5)


def makeExtension(**options: Any) -> PlainNamesExtension:  # noqa: N802
    """What Python-Markdown calls."""
    return PlainNamesExtension(**options)
