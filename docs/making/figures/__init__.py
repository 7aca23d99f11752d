"""Every figure of the site that code draws: its name, and the function that draws it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from docs.making.figures.input import draw_clips, draw_crops
from docs.making.figures.performance import draw_bfloat16, draw_float32, draw_scale
from docs.making.figures.tour_attention import draw_heads
from docs.making.figures.tour_clip import draw_film, draw_views
from docs.making.figures.tour_costs import draw_comparisons
from docs.making.figures.tour_model import draw_block, draw_classifier, draw_model
from docs.making.figures.tour_patchify import draw_patches
from docs.making.figures.tour_time_embedding import draw_token_order
from docs.making.figures.tour_training import draw_waking

FIGURES: dict[str, Callable[[], Figure]] = {
    "film": draw_film,
    "views": draw_views,
    "patches": draw_patches,
    "token-order": draw_token_order,
    "heads": draw_heads,
    "comparisons": draw_comparisons,
    "block": draw_block,
    "classifier": draw_classifier,
    "model": draw_model,
    "waking": draw_waking,
    "performance-float32": draw_float32,
    "performance-bfloat16": draw_bfloat16,
    "scale": draw_scale,
    "clips": draw_clips,
    "crops": draw_crops,
}


def write_figures(folder: Path) -> None:
    """Draw every figure as `NAME.svg`, the same bytes each time."""
    folder.mkdir(parents=True, exist_ok=True)
    style = {"svg.hashsalt": "timesformer_ref", "svg.fonttype": "path", "text.color": "#1f2328"}
    for name, draw in FIGURES.items():
        with mpl.rc_context(style):
            figure = draw()
            figure.savefig(folder / f"{name}.svg", transparent=True, metadata={"Date": None})
            plt.close(figure)
