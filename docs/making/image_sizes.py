"""Images get their width and height when the site is built, so that nothing moves as they load.

Those of a page's first screen are asked for at once, the others when the reader comes near them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from markdown import Extension, Markdown
from markdown.treeprocessors import Treeprocessor
from PIL import Image

DOCS = Path(__file__).parents[1]
FIRST_SCREEN = 6
"""So many paragraphs, headings and pictures a screen shows before anybody scrolls."""


def size(file: Path) -> tuple[int, int]:
    """Width and height, in CSS pixels, of a photograph or of an SVG in points or pixels."""
    if file.suffix != ".svg":
        with Image.open(file) as image:
            return image.size
    head = file.read_text("utf-8")[:2000]
    found = re.findall(r'\b(?:width|height)="([\d.]+)(pt|px|)"', head)[:2]
    pixels = [round(float(number) * (4 / 3 if unit == "pt" else 1)) for number, unit in found]
    width, height = pixels
    return width, height


class ImageSizes(Treeprocessor):
    """Finds each image below `docs/` by its path in the page's text."""

    def run(self, root: Element) -> None:
        """Add `width` and `height` to images that have none, and when each is loaded."""
        at_once = {image for block in root[:FIRST_SCREEN] for image in block.iter("img")}
        for image in root.iter("img"):
            image.set(*(("fetchpriority", "high") if image in at_once else ("loading", "lazy")))
            file = DOCS / re.sub(r"^(\.\./)*", "", image.get("src", ""))
            if "width" not in image.attrib and file.suffix in (".png", ".svg", ".jpg"):
                width, height = size(file)
                image.set("width", str(width))
                image.set("height", str(height))


class ImageSizesExtension(Extension):
    """The extension, which `mkdocs.yml` names by its module."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        """Run before paths become those of the site."""
        md.treeprocessors.register(ImageSizes(md), "image_sizes", 5)


def makeExtension(**options: Any) -> ImageSizesExtension:  # noqa: N802
    """What Python-Markdown calls."""
    return ImageSizesExtension(**options)
