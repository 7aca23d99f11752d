"""An animation, time and then space: what a patch attends to in divided attention."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from docs.making.figures.palette import ATTENDED, ATTENDING, CLASS_TOKEN, PATCH
from docs.making.figures.schemes import FRAMES, QUERY, SIDE, group_of
from timesformer_ref.schemes import STEPS

CELL, GAP, TOP = 20, 16, 30
WIDTH = FRAMES * (SIDE * CELL + GAP) + 2 * CELL
HEIGHT = TOP + SIDE * CELL + 4

WORDS = (
    "An animation of four frames. First the blue patch attends to its own place in every frame, "
    "then to all patches of its frame, with the class token; after both it holds information from "
    "every patch."
)
STYLE = """
.divided-steps text { font: 15px sans-serif; fill: #5b6470 }
.time, .space, .both { opacity: 0; animation: shown 7.5s infinite }
.space { animation-delay: -5s }
.both { animation-delay: -2.5s }
@keyframes shown { 0%, 30% { opacity: 1 } 33.3%, 100% { opacity: 0 } }
@media (prefers-reduced-motion: reduce) {
  .time, .space, .both { animation: none }
  .space { opacity: 1 }
}
"""
"""A third of the time each; whoever wants no motion sees the spatial step."""


def write_divided_steps(path: Path) -> None:
    """Write the animation as an SVG for within a page, whose reader may pause it."""
    time, space = (group_of(STEPS[step], QUERY) for step in ("temporal", "spatial"))
    everywhere, here = np.full_like(time, True), np.zeros_like(time)
    here[QUERY] = True
    layers = [
        *squares(everywhere, PATCH, 0.3),
        disc(PATCH, 0.3),
        layer("time", "1. time: its place in every frame", squares(time, ATTENDED)),
        layer("space", "2. space: its frame", [*squares(space, ATTENDED), disc(CLASS_TOKEN)]),
        layer("both", "both: information from every patch", squares(everywhere, ATTENDED, 0.45)),
        *squares(here, ATTENDING),
    ]
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    about = f'class="divided-steps" role="img" aria-label="{WORDS}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {about}>'
    svg = [head, f"<style>{STYLE.strip()}</style>", *layers]
    path.write_text("\n".join([*svg, "</svg>\n"]), encoding="utf-8")


def layer(name: str, words: str, parts: Iterable[str]) -> str:
    """What is shown during one step, and its words."""
    return f'<g class="{name}"><text x="0" y="17">{words}</text>{"".join(parts)}</g>'


def squares(chosen: np.ndarray, colour: str, opacity: float = 1) -> Iterator[str]:
    """The chosen patches, t h w, as squares of the frames side by side."""
    for t, y, x in np.argwhere(chosen).tolist():
        left, top = t * (SIDE * CELL + GAP) + x * CELL, TOP + y * CELL
        box = f'x="{left}" y="{top}" width="{CELL - 2}" height="{CELL - 2}"'
        yield f'<rect {box} fill="{colour}" fill-opacity="{opacity}"/>'


def disc(colour: str, opacity: float = 1) -> str:
    """The class token, behind the last frame."""
    place = f'cx="{WIDTH - 1.2 * CELL}" cy="{TOP + SIDE * CELL / 2}" r="9"'
    return f'<circle {place} fill="{colour}" fill-opacity="{opacity}"/>'
