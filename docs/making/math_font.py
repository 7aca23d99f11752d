"""The font of the formulas: a part of STIX Two Math, within a stylesheet.

    npm pack @fontsource/stix-two-math@5.3.0
    uv run --no-project --with 'fonttools[woff]' docs/making/math_font.py fontsource-*.tgz

A font inside its stylesheet is there when the page is drawn, so nothing moves, and pages that are
opened from files have it too, where browsers do not read fonts from folders above the page's.
"""

from __future__ import annotations

import sys
import tarfile
from base64 import b64encode
from io import BytesIO
from itertools import chain
from pathlib import Path

from fontTools import subset

ASSETS = Path(__file__).parents[1] / "assets"
CHARACTERS = [
    range(0x20, 0x7F),  # ASCII
    range(0x1D41A, 0x1D468),  # bold small letters, italic letters
    range(0x1D6FC, 0x1D71C),  # italic small Greek letters
    map(ord, "\u210e·×±−⊙√∑∈≈≠≤≥⊤′⌊⌋…∂∇∏ℓℒℝαβγδεθλμπσφϵΦ𝛷𝜷𝜸"),
]
STYLES = """\
/* STIX Two Math, version 2.12, of which this is a part: docs/making/math_font.py made it.
   Copyright 2001-2021 The STIX Fonts Project Authors (https://github.com/stipub/stixfonts),
   under the SIL Open Font License 1.1: math-font-licence.txt. */
@font-face {{
  font-family: "STIX Two Math";
  src: url("data:font/woff2;base64,{font}") format("woff2");
  unicode-range: {characters};
}}

math {{
  font-family: "STIX Two Math", math;
}}
"""


def part(font: BytesIO) -> tuple[bytes, list[int]]:
    """The font with the glyphs and variants of `CHARACTERS`, and those of them that it has."""
    options = subset.Options(flavor="woff2", hinting=False, layout_features=["*"])
    whole = subset.load_font(font, options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=chain(*CHARACTERS))
    subsetter.subset(whole)
    written = BytesIO()
    subset.save_font(whole, written, options)
    return written.getvalue(), sorted(whole.getBestCmap())


def ranges(characters: list[int]) -> str:
    """Characters as CSS writes them: U+20-7E, U+B7."""
    starts = [c for c in characters if c - 1 not in characters]
    ends = [c for c in characters if c + 1 not in characters]
    return ", ".join(
        f"U+{first:X}" + f"-{last:X}" * (last > first)
        for first, last in zip(starts, ends, strict=True)
    )


def main() -> None:
    """Write the stylesheet and the licence from the package of npm."""
    with tarfile.open(sys.argv[1]) as package:
        name = "package/files/stix-two-math-latin-400-normal.woff2"
        font, characters = part(BytesIO(package.extractfile(name).read()))
        licence = package.extractfile("package/LICENSE").read()
    styles = STYLES.format(font=b64encode(font).decode(), characters=ranges(characters))
    (ASSETS / "math.css").write_text(styles, encoding="utf-8")
    (ASSETS / "math-font-licence.txt").write_bytes(licence)


if __name__ == "__main__":
    main()
