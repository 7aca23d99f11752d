"""The two implementations side by side: each function beside its twin, line by line.

A line without a counterpart stands beside a filler, an empty line. Fillers are marked as
highlighted lines, which the page's style hides where the two are tabs.
"""

from __future__ import annotations

import ast
import re
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from textwrap import indent

from docs.making.code import ROOT, definitions

MODULES = "# A module makes its weights; NumPy takes them as a mapping by name."
STARTS = "# NumPy's initial values: timesformer_ref/checkpoints/initialise.py"

TWINS = {
    "patchify": [
        ("patchify/patch_pixels", "patchify/PatchEmbed.__init__"),
        ("patchify/patch_embed", "patchify/PatchEmbed.forward"),
        ("patchify/positions", "patchify/positions"),
        ("patchify/patchify", "patchify/patchify"),
    ],
    "time_embedding": [
        ("time_embedding/time_embedding", "time_embedding/time_embedding"),
        ("layers/nearest", "layers/nearest"),
    ],
    "attention": [
        ("layers/linear", "# PyTorch has it: nn.Linear"),
        ("layers/layer_norm", "# PyTorch has it: nn.LayerNorm"),
        ("layers/softmax", "# PyTorch has it: torch.softmax"),
        ("layers/self_attention", "layers/SelfAttention.forward"),
        (MODULES, "layers/SelfAttention.__init__"),
    ],
    "divided_attention": [
        ("divided_attention/earlier_step", "divided_attention/Block.earlier_step"),
        ("divided_attention/last_step", "divided_attention/Block.last_step"),
        ("divided_attention/attention_step", "divided_attention/Block.attention_step"),
        ("divided_attention/feed_forward", "divided_attention/Block.feed_forward"),
        ("divided_attention/block", "divided_attention/Block.forward"),
    ],
    "mlp": [
        ("layers/gelu", "# PyTorch has it: nn.GELU"),
        ("layers/mlp", "layers/Mlp.forward"),
        (MODULES, "layers/Mlp.__init__"),
    ],
    "classifier": [
        ("classifier/final_norm", "classifier/final_norm"),
        ("classifier/classifier", "classifier/classifier"),
    ],
    "model": [
        ("model/forward", "model/TimeSformer.forward"),
        (MODULES, "model/TimeSformer.__init__"),
        (STARTS, "model/TimeSformer.reset_parameters"),
    ],
}
"""The pages' pairs, NumPy and PyTorch: a definition as FILE/NAME, or a comment in its place."""

Rows = list[tuple[str | None, str | None]]
"""Lines beside each other; None is a filler."""


def write_twins(folder: Path) -> None:
    """Write `NAME.md` for every entry of `TWINS`: two tabs of code with as many lines each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, pairs in TWINS.items():
        (folder / f"{name}.md").write_text(twin(pairs), encoding="utf-8")


def twin(pairs: list[tuple[str, str]]) -> str:
    """The tabs of some pairs, two blank lines between one pair and the next."""
    rows: Rows = []
    for numpy, torch in pairs:
        rows += [("", "")] * 2 * bool(rows)
        rows += beside(code("numpy_blocks", numpy), code("torch_blocks", torch))
    numpy_lines, torch_lines = map(list, zip(*rows, strict=True))
    return tab("NumPy", numpy_lines) + "\n" + tab("PyTorch", torch_lines)


def tab(title: str, lines: list[str | None]) -> str:
    """One tab; its fillers are the highlighted lines."""
    fillers = " ".join(str(number) for number, line in enumerate(lines, 1) if line is None)
    text = "\n".join(line or "" for line in lines)
    block = (
        f'```python hl_lines="{fillers}"\n{text}\n```\n' if fillers else f"```python\n{text}\n```\n"
    )
    return f'=== "{title}"\n\n{indent(block, "    ")}'


def code(package: str, name: str) -> list[str]:
    """The lines of a definition, or the one of a comment."""
    if name.startswith("#"):
        return [name]
    file, _, definition = name.partition("/")
    source = (ROOT / "timesformer_ref" / package / f"{file}.py").read_text("utf-8")
    node = dict(definitions(ast.parse(source)))[definition]
    assert isinstance(node, ast.FunctionDef)
    lines = source.splitlines()[node.lineno - 1 : node.end_lineno]
    first = node.body[0]
    if docstring := ast.get_docstring(node):
        start, end = first.lineno - node.lineno, first.end_lineno - node.lineno
        lines[start : end + 1] = [f'{" " * first.col_offset}"""{summary(docstring)}"""']
    return [line.removeprefix(" " * node.col_offset) for line in lines]


def summary(docstring: str) -> str:
    """A docstring's first line: the page says the rest."""
    return docstring.splitlines()[0]


def beside(left: list[str], right: list[str]) -> Rows:
    """Corresponding lines in one row; in between, what has no counterpart, in as few rows."""
    anchors = [(-1, -1), *corresponding(left, right), (len(left), len(right))]
    rows: Rows = []
    for (i, j), (next_i, next_j) in pairwise(anchors):
        if i >= 0:
            rows.append((left[i], right[j]))
        ours, theirs = left[i + 1 : next_i], right[j + 1 : next_j]
        for k in range(max(len(ours), len(theirs))):
            rows.append((_at(ours, k), _at(theirs, k)))
    return rows


def _at(lines: list[str], k: int) -> str | None:
    return lines[k] if k < len(lines) else None


def corresponding(left: list[str], right: list[str]) -> list[tuple[int, int]]:
    """Pairs of lines that say the same, in order: those whose likeness sums to the most."""
    best: dict[tuple[int, int], tuple[float, list[tuple[int, int]]]] = {}
    for i in range(len(left), -1, -1):
        for j in range(len(right), -1, -1):
            if i == len(left) or j == len(right):
                best[i, j] = 0.0, []
                continue
            score, pairs = best[i + 1, j + 1]
            matched = score + likeness(left[i], right[j]), [(i, j), *pairs]
            best[i, j] = max(matched, best[i + 1, j], best[i, j + 1], key=lambda found: found[0])
    return best[0, 0][1]


def likeness(left: str, right: str) -> float:
    """How alike two lines are, from what is just enough, 0, to the same, 0.5."""
    words = (re.findall(r"\w+|[^\w\s]", line) for line in (left, right))
    return SequenceMatcher(None, *words, autojunk=False).ratio() - 0.5
