"""Words of code in a page: names have no element of their own, and an option is not broken.

A third of what a browser styles on a page full of code would be elements of names and spaces, whose
colour would be that of code. A line may end after a hyphen, but not after those of `--option`.
"""

from __future__ import annotations

import re
from typing import Any

from markdown import Extension, Markdown
from markdown.postprocessors import Postprocessor

NAME = re.compile(r'<span class="[nw]">([^<]*)</span>')
COMMANDS = re.compile(
    r'(?<!<span></span>)<code>[^<]*</code>|<div class="language-sh highlight">.*?</div>', re.DOTALL
)
OPTION = re.compile(r"(?<![\w-])(--?[a-z][\w-]*|--(?=\s))")


class CodeWords(Postprocessor):
    """Takes the elements of names (`n`) and white space (`w`) away, and gives options one."""

    def run(self, text: str) -> str:
        """The page's HTML with the elements that it needs."""
        whole = r'<span class="option">\g<0></span>'
        return COMMANDS.sub(lambda part: OPTION.sub(whole, part[0]), NAME.sub(r"\1", text))


class CodeWordsExtension(Extension):
    """The extension, which `mkdocs.yml` names by its module."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        """Run when code is back in its place."""
        md.postprocessors.register(CodeWords(md), "code_words", 5)


def makeExtension(**options: Any) -> CodeWordsExtension:  # noqa: N802
    """What Python-Markdown calls."""
    return CodeWordsExtension(**options)
