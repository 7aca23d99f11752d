"""The sizes that the suite tries besides those that Hypothesis draws: one table, an axis a row.

Hypothesis draws small geometries, by relation. Real code changes its way at sizes beyond them: at
vector widths and tiles of 8 to 512, at chunks of clips, where a number no longer fits one byte or
two, at names of two digits. So each row lets one axis grow beyond these and keeps the others tiny,
or brings two branches of a port together. Most sizes leave a remainder for any tile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from spec_tests.harness.cases import ANY_GRID, Case
from spec_tests.harness.interface import FUNCTIONS
from spec_tests.harness.porting import Port
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.schemes import SCHEMES, STEPS

Sizes = Mapping[str, int]
"""Sizes of some axes, by the names of `TINY`."""

TINY: Sizes = {
    "clips": 1,
    "frames": 2,
    "rows": 2,
    "columns": 2,
    "channels": 1,
    "patch size": 1,
    "heads": 1,
    "head width": 4,
    "MLP width": 3,
    "blocks": 1,
    "labels": 3,
    "rest": 0,
}
"""What an axis is that a row says nothing of. `rest`: pixels beyond the last whole patch. Besides,
`trained` and `side` are the frames, and the rows and columns, that the weights were trained for:
where a row does not give them, they are the clip's own, or 2 where it is no square."""

STEP_RULES = {
    "space_only spatial": "SPACE-1",
    "joint_space_time joint": "JOINT-1",
    "divided_space_time temporal": "DIV-1",
    "divided_space_time spatial": "DIV-6",
    "sparse_local_global local": "LG-1",
    "sparse_local_global global": "LG-2",
    "axial temporal": "AXIAL-1",
    "axial width": "AXIAL-2",
    "axial height": "AXIAL-3",
}
"""The requirement that says what the groups of a scheme's step are."""


@dataclass(frozen=True)
class Axis:
    """A row of the table.

    name: of the axis, or of the axes that grow together. values: a size each, or several by name.
    asked: what is called, a function of the port interface or a scheme and its step, and the
    requirement that is broken where only this axis makes the answer wrong. wrong: what then is the
    matter, usually. others: sizes of other axes.
    """

    name: str
    values: tuple[int, ...] | Mapping[str, Sizes]
    asked: Mapping[str, str]
    wrong: str
    others: Sizes = field(default_factory=dict)

    def sizes(self) -> list[Sizes]:
        """The sizes that are tried, the smallest first."""
        if isinstance(self.values, Mapping):
            return [{**self.others, **sizes} for sizes in self.values.values()]
        return [{**self.others, self.name: value} for value in self.values]


def only(*steps: str) -> dict[str, str]:
    """These steps, and the requirements about their groups."""
    return {step: STEP_RULES[step] for step in steps}


IN_TIME = only("divided_space_time temporal", "axial temporal")
IN_SPACE = only("space_only spatial", "divided_space_time spatial")
EVERY_BLOCK = {f"{scheme} block": "MODEL-3" for scheme in SCHEMES}
EVERY_MODEL = {f"{scheme} forward": "MODEL-3" for scheme in SCHEMES}
EVERY_GRADIENT = {f"{scheme} gradients": "GRAD-3" for scheme in SCHEMES}

AXES = (
    Axis(
        "clips", (9, 33, 129, 257),
        {"patchify": "PATCH-1", "time_embedding": "TIME-1", **only(*STEP_RULES), "mlp": "MLP-3",
         "classifier": "HEAD-2", "forward": "MODEL-2", "gradients": "GRAD-1"},
        "clips run in chunks, of which the last, a smaller one, is lost, repeated, or counts as "
        "much as a whole one in a mean; a clip's number in one byte",
    ),
    Axis(
        "frames", (9, 17, 33, 96, 129, 257),
        {"patchify": "PATCH-1", "time_embedding": "TIME-2", **only(*STEP_RULES),
         "divided_space_time spatial": "DIV-7", "axial height": "AXIAL-4",
         "space_only classifier": "HEAD-3", "forward": "MODEL-2"},
        "attention in time in tiles of keys; frames in chunks, or averaged chunk by chunk; a "
        "frame's number in one byte; a table of time for 96 frames cut off",
    ),
    Axis(
        "rows", (9, 33, 129, 257),
        {"patchify": "POS-2", "time_embedding": "TIME-1", "forward": "MODEL-3",
         **only("divided_space_time spatial", "sparse_local_global local",
                "sparse_local_global global", "axial width", "axial height")},
        "rows and columns confused where one is large; a row's number in one byte",
    ),
    Axis(
        "columns", (9, 33, 129, 257),
        {"patchify": "POS-2", "time_embedding": "TIME-1", "forward": "MODEL-3",
         **only("divided_space_time spatial", "sparse_local_global local",
                "sparse_local_global global", "axial width", "axial height")},
        "rows and columns confused where one is large; a column's number in one byte",
    ),
    Axis(
        "channels", (2, 4, 8, 9, 17, 257),
        {"patchify": "PATCH-4", "forward": "MODEL-2"},
        "kernels for one, three or four channels; pixels padded to a vector's width",
    ),
    Axis(
        "patch size", (2, 7, 8, 9, 14, 16, 17, 32),
        {"patchify": "PATCH-1", "forward": "MODEL-2"},
        "a kernel written for 16 × 16 pixels; sums of p × p products in vectors, the rest lost",
    ),
    Axis(
        "inputs of a patch", {"2 × 16 × 16": {"channels": 2, "patch size": 16},
                              "3 × 16 × 16": {"channels": 3, "patch size": 16},
                              "3 × 23 × 23": {"channels": 3, "patch size": 23}},
        {"patchify": "PATCH-1"},
        "long sums of products in a smaller type (TF32, bfloat16, float16)",
    ),
    Axis(
        "width", {str(d): {"head width": d} for d in (9, 17, 33, 65, 129, 257, 513, 768)},
        {"patchify": "PATCH-1", "time_embedding": "TIME-2", "mlp": "MLP-1", "classifier": "NORM-1"},
        "LayerNorm and products in vectors, the rest lost; long sums in a smaller type; one "
        "path for the published 768, another for the rest",
    ),
    Axis(
        "width of a model", {"64": {"head width": 64}, "257": {"head width": 257}},
        {"forward": "MODEL-5"},
        "products of matrices in a smaller type where they are large enough to gain by it",
    ),
    Axis(
        "heads", (2, 3, 5, 8, 9, 12, 16, 33),
        dict.fromkeys(IN_TIME | IN_SPACE, "ATT-6"),
        "heads in chunks; twelve heads, or an even number of them, written into the code",
    ),
    Axis(
        "head width",
        {"1": {"head width": 1, "heads": 5},
         **{str(k): {"head width": k} for k in (3, 9, 16, 33, 64, 80, 128, 129, 257)}},
        dict.fromkeys(IN_TIME | IN_SPACE, "ATT-2"),
        "kernels for heads 64 or 128 wide; a head padded to the next such width, and the scale "
        "taken from that; long sums in a smaller type",
    ),
    Axis(
        "the published width of heads", {"12 × 64": {"heads": 12, "head width": 64}},
        {"divided_space_time temporal": "ATT-1", "divided_space_time spatial": "ATT-1"},
        "768 numbers of a token, 2,304 of its queries, keys and values",
    ),
    Axis(
        "MLP width", (1, 2, 9, 17, 33, 65, 129, 257, 513, 1025, 3072),
        {"mlp": "MLP-1"},
        "four times the width written into the code; the hidden layer in chunks; GELU in vectors; "
        "long sums in a smaller type",
    ),
    Axis(
        "blocks", (10, 11, 12, 24),
        dict.fromkeys(("forward", "block", "attention_step", "mlp"), "MODEL-1"),
        "blocks in the order of their names as strings (0, 1, 10, 11, 2); block 1's weights found "
        "by a prefix that block 10's have too; a name's number read as one digit; twelve blocks, "
        "always",
    ),
    Axis(
        "a hundred blocks", {"101": {"blocks": 101}},
        dict.fromkeys(("attention_step", "mlp"), "MODEL-1"),
        "a name's number read as two digits",
    ),
    Axis(
        "labels", (1, 2, 9, 10, 17, 33, 65, 129, 174, 257, 400, 600, 1059),
        {"classifier": "HEAD-2", "forward": "MODEL-2"},
        "a label in one byte; logits padded to a vector's width",
    ),
    Axis(
        "one axis of gradients",
        {
            "33 frames": {"frames": 33},
            "17 rows": {"rows": 17},
            "9 channels": {"channels": 9},
            "patches of 17 × 17": {"patch size": 17},
            "9 heads": {"heads": 9},
            "a width of 257": {"head width": 257},
            "an MLP of 513": {"MLP width": 513},
            "12 blocks": {"blocks": 12},
            "257 labels": {"labels": 257, "clips": 3},
            "400 labels": {"labels": 400, "clips": 2},
            "82 tokens": {"rows": 9, "columns": 9, "frames": 1},
            "145 tokens": {"rows": 12, "columns": 12, "frames": 1},
            "290 tokens": {"rows": 17, "columns": 17, "frames": 1},
        },
        {"gradients": "GRAD-2"},
        "the same in the backward pass: attention in tiles whose sums are not carried on, a label "
        "in one byte, gradients by names that are sorted as strings",
    ),
    Axis(
        "tokens of a frame", {str(1 + side * side): {"rows": side, "columns": side}
                              for side in (4, 6, 8, 12, 14, 17, 23, 28)},
        {**dict.fromkeys(IN_SPACE, "ATT-3"), "sparse_local_global local": "LG-1",
         "sparse_local_global global": "LG-2", "patchify": "POS-1", "mlp": "MLP-3"},
        "attention in tiles of keys whose running maximum or sum is not carried on; masks of the "
        "last tile; HR's 785 tokens",
        {"frames": 1},
    ),
    Axis(
        "tokens of a clip", {str(1 + t * side * side): {"frames": t, "rows": side, "columns": side}
                             for t, side in ((3, 5), (5, 6), (4, 9), (8, 9), (8, 14))},
        {"joint_space_time joint": "ATT-3"},
        "the same, up to the 1,569 tokens that joint attention has on 8 frames of 14 × 14 patches",
    ),
    Axis(
        "places", {"65,792": {"rows": 256, "columns": 257, "side": 16}},
        {"patchify": "POS-2", "time_embedding": "TIME-1", "mlp": "MLP-3",
         "divided_space_time temporal": "ATT-8"},
        "a place's number in two bytes; more groups than a grid of a GPU has blocks (65,535)",
    ),
    Axis(
        "groups", {"66,049": {"frames": 257, "clips": 257, "rows": 1, "columns": 1}},
        {"divided_space_time spatial": "ATT-8"},
        "a group's number in two bytes; the class token's copies averaged over the wrong groups",
    ),
    Axis(
        "frames and size at once",
        {
            "more of both": {"trained": 2, "frames": 4, "side": 2, "rows": 4, "columns": 6},
            "more frames, smaller": {"trained": 4, "frames": 6, "side": 4, "rows": 2, "columns": 4},
            "fewer frames, larger": {"trained": 6, "frames": 4, "side": 2, "rows": 6, "columns": 4},
            "fewer of both": {"trained": 8, "frames": 4, "side": 4, "rows": 2, "columns": 2},
            "half, as many places": {"trained": 4, "frames": 2, "side": 4, "rows": 2, "columns": 8},
        },
        {"patchify": "POS-2", "time_embedding": "TIME-4", **EVERY_BLOCK, **EVERY_MODEL,
         **EVERY_GRADIENT, "space_only classifier": "HEAD-3"},
        "the resize of one table skipped where the other is resized; one count for both; a table "
        "resized along the other's axis",
        {"clips": 2},
    ),
    Axis(
        "ragged and resized",
        {
            "larger": {"side": 2, "rows": 4, "columns": 2, "patch size": 3, "rest": 2},
            "smaller": {"side": 4, "rows": 2, "columns": 4, "patch size": 2, "rest": 1},
            "as many": {"side": 4, "rows": 8, "columns": 2, "patch size": 4, "rest": 3},
            "of another length": {"side": 2, "rows": 2, "columns": 6, "trained": 4, "frames": 6,
                                  "patch size": 3, "rest": 1},
        },
        {"patchify": "PATCH-3", **EVERY_MODEL, "gradients": "GRAD-3"},
        "the grid counted from the frame's pixels, rounded up, in one place and down in another",
        {"clips": 2},
    ),
    Axis(
        "one frame and another size",
        {
            "one of one": {"trained": 1, "frames": 1, "side": 2, "rows": 3, "columns": 4},
            "one of four": {"trained": 4, "frames": 1, "side": 3, "rows": 2, "columns": 5},
            "as many places": {"trained": 3, "frames": 1, "side": 4, "rows": 2, "columns": 8},
            "one patch": {"trained": 2, "frames": 1, "side": 1, "rows": 2, "columns": 3},
        },
        {"patchify": "POS-2", "time_embedding": "TIME-5",
         **{f"{scheme} {name}": rule for scheme in ANY_GRID for name, rule in
            {"block": "MODEL-3", "forward": "MODEL-3", "gradients": "GRAD-3"}.items()}},
        "an axis of length one squeezed away or broadcast, together with a resize",
        {"clips": 2},
    ),
)  # fmt: skip
"""The table. docs/conformance.md shows it."""


RATHER = ("divided_space_time", "joint_space_time", *SCHEMES)
"""Where a row names no scheme: the first of these that the port has."""


def cases(port: Port, axis: Axis, asked: str) -> Iterator[tuple[str, Case, dict[str, Any]]]:
    """The calls of a row for one of those that it asks: function, case, and further arguments.

    A port with `STATIC_SHAPES` gets the last one. Raises NotOffered for a scheme that it lacks, and
    where it declares that it cannot take a size.
    """
    scheme, _, name = asked.rpartition(" ")
    scheme = port.offered((scheme,) if scheme else RATHER)[0]
    function = "attention_step" if name in STEPS else name
    for sizes in axis.sizes()[-1:] if port.static_shapes else axis.sizes():
        case = case_of({**TINY, **sizes}, scheme, port)
        step = name if name in STEPS else case.config.steps[0]
        last = case.config.num_hidden_layers - 1
        for layer in {min(1, last), last} if "layer" in FUNCTIONS[function] else {0}:
            more = {"layer": layer, "step": step}
            yield function, case, {n: x for n, x in more.items() if n in FUNCTIONS[function]}


def case_of(sizes: Sizes, scheme: str, port: Port) -> Case:
    """The case of these sizes; those that the scheme's steps cut are rounded up to whole pieces."""
    cut = [max(axis) for axis in zip(*(STEPS[s].pieces for s in SCHEMES[scheme]), strict=True)]
    t, h, w = (
        -(-sizes[name] // n) * n for name, n in zip(("frames", "rows", "columns"), cut, strict=True)
    )
    side = sizes.get("side", h if h == w else 2)
    config = TimeSformerConfig(
        image_size=sizes["patch size"] * -(-side // cut[1]) * cut[1],
        patch_size=sizes["patch size"],
        num_channels=sizes["channels"],
        num_frames=-(-sizes.get("trained", t) // cut[0]) * cut[0],
        hidden_size=sizes["heads"] * sizes["head width"],
        num_hidden_layers=sizes["blocks"],
        num_attention_heads=sizes["heads"],
        intermediate_size=sizes["MLP width"],
        attention_type=scheme,
        num_labels=sizes["labels"],
    )
    config = port.constraints.adapt(config)
    height, width = (n * config.patch_size + sizes["rest"] for n in (h, w))
    return Case(config, (sizes["clips"], t, config.num_channels, height, width), dtype=port.dtype)
