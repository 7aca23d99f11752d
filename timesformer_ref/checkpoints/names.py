"""Find the weights of one TimeSformer among a file's tensors, whatever wraps their names."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from torch import Tensor

from timesformer_ref.checkpoints.checkpoint import CheckpointError, warn
from timesformer_ref.checkpoints.pickled import Lazy, Other, Refused
from timesformer_ref.config import TimeSformerConfig, shown
from timesformer_ref.schemes import SCHEMES
from timesformer_ref.weights import weight_table

CONTAINERS = ("model_state", "state_dict", "model")
"""The keys under which files keep their weights; they win over others, in this order."""

USUAL = re.compile(r"^((module|model)\.)+")
"""The prefixes of the original and of distributed training, taken off without a warning."""

DEPTH = 3
"""How many dicts deep weights are searched."""

Tensors = Mapping[str, Lazy | Other]


class Model(NamedTuple):
    """Tensors that are named as those of a TimeSformer.

    container: the keys that lead to their dict; prefix: what stands before the original's names.
    names: each original name with the name in the dict; tensors: all of the dict.
    """

    container: str
    prefix: str
    names: list[tuple[str, str]]
    tensors: Tensors

    @property
    def rank(self) -> int:
        """The place of its container among those that win."""
        key = self.container.partition(".")[0]
        return CONTAINERS.index(key) if key in CONTAINERS else len(CONTAINERS)

    @property
    def where(self) -> str:
        """Where it stands in the file."""
        return shown(f"{self.container}.{self.prefix}".strip(".") or "no prefix")


def find_weights(path: object, content: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The weights of the one TimeSformer in a file, by their original names; only they are read.

    content: a `Lazy` by the name of each tensor, and dicts of more. The names are the original's or
    those of `transformers`, below any one prefix. A CheckpointWarning says which prefix was taken
    off, unless it is usual, and which tensors were left out.
    Raises CheckpointError for a file with no model or two, and for a tensor that it does not hold.
    """
    models = sorted(_models(content), key=lambda model: model.rank)
    if not models:
        raise CheckpointError(f"{path}: {_what_is_there(content)}")
    chosen, *others = models
    if others and others[0].rank == chosen.rank:
        raise CheckpointError(
            f"{path}: holds two models, under {chosen.where} and {others[0].where}: save the "
            "state dict of one"
        )
    weights: dict[str, str] = {}
    for original, name in chosen.names:
        if weights.setdefault(original, name) != name:
            raise CheckpointError(
                f"{path}: {original} is there twice, as {weights[original]} and as {name}"
            )
    parts = {known.partition(".")[0] for known in _originals()}
    foreign = []
    for name in sorted(chosen.tensors.keys() - {name for _, name in chosen.names}):
        plain = USUAL.sub("", name)
        inner = plain.removeprefix(chosen.prefix)
        if plain == chosen.prefix + inner and inner.partition(".")[0] in parts:
            weights[inner] = name  # inside the model, and for the comparison to refuse
        else:
            foreign.append(name)
    _say(path, chosen, foreign, others)
    return {original: _read(path, name, chosen.tensors[name]) for original, name in weights.items()}


def all_tensors(path: object, content: Mapping[Any, Any]) -> dict[str, Tensor]:
    """Every tensor of a file's state dict, of whatever model, without the usual prefixes."""
    state = next((content[k] for k in CONTAINERS if isinstance(content.get(k), dict)), content)
    return {
        USUAL.sub("", name): _read(path, name, tensor)
        for name, tensor in state.items()
        if isinstance(name, str) and isinstance(tensor, Lazy | Other)
    }


def original_name(name: str) -> tuple[str, str] | None:
    """The prefix of a weight's name, and its name in the original; None for no TimeSformer's."""
    parts = name.split(".")
    for start in range(max(0, len(parts) - 8), len(parts)):  # no weight's name has more parts
        prefix, tail = ".".join([*parts[:start], ""]), ".".join(parts[start:])
        number = re.match(r"(blocks|(timesformer\.)?encoder\.layer)\.(0|[1-9]\d{0,5})\.", tail)
        block = number[3] if number else "0"
        original = _originals().get(tail.replace(f".{block}.", ".0.", 1))
        if original:
            return prefix, original.replace(".0.", f".{block}.", 1)
    return None


@cache
def _originals() -> dict[str, str]:
    """The original name of every weight of every scheme, in block 0, by each of its names."""
    originals: dict[str, str] = {}
    for scheme in SCHEMES:
        config = TimeSformerConfig(num_hidden_layers=1, attention_type=scheme)
        for name, weight in weight_table(config).items():
            theirs = weight.hugging_face
            originals |= dict.fromkeys((name, theirs, theirs.removeprefix("timesformer.")), name)
    return originals


def _models(content: Mapping[Any, Any]) -> Iterator[Model]:
    """All that has attention weights as a TimeSformer's are named."""
    for container, tensors in _dicts(content, "", set()):
        below = defaultdict(list)
        for name in tensors:
            if found := original_name(name):
                below[USUAL.sub("", found[0])].append((found[1], name))
        for prefix, names in below.items():
            if any("attn.qkv." in original for original, _ in names):
                yield Model(container, prefix, names, tensors)


def _dicts(content: Mapping[Any, Any], at: str, seen: set[int]) -> Iterator[tuple[str, Tensors]]:
    """The tensors of each dict, and the keys that lead to it."""
    seen.add(id(content))
    named = {key: value for key, value in content.items() if isinstance(key, str)}
    yield at, {name: value for name, value in named.items() if isinstance(value, Lazy | Other)}
    for key, value in named.items():
        if isinstance(value, dict) and id(value) not in seen and at.count(".") < DEPTH:
            yield from _dicts(value, f"{at}.{key}".lstrip("."), seen)


def _read(path: object, name: str, tensor: Lazy | Other) -> Tensor:
    if isinstance(tensor, Other):
        raise CheckpointError(f"{path}: tensor {name} is sparse, quantised or has no numbers")
    try:
        return tensor()
    except Refused as error:
        raise CheckpointError(f"{path}: tensor {name} {error}") from error


def _say(path: object, chosen: Model, foreign: list[str], others: list[Model]) -> None:
    """Warn of a prefix that was taken off, and of what was left out."""
    notes = [f"left out the model under {other.where}" for other in others[:3]]
    if chosen.prefix or chosen.container not in ("", *CONTAINERS):
        notes.insert(0, f"read the weights under {chosen.where}")
    if foreign:
        more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
        notes.append(f"left out {', '.join(map(shown, foreign[:3]))}{more}")
    if notes:
        warn(f"{path}: {', '.join(notes)}")


def _what_is_there(content: Mapping[Any, Any]) -> str:
    """Why no weights of a TimeSformer are in a file."""
    for key in CONTAINERS:
        if not isinstance(content.get(key, {}), dict | Lazy):
            return f"holds a {type(content[key]).__name__} under {key!r} where weights should be"
    names = [name for _, tensors in _dicts(content, "", set()) for name in tensors]
    others = [name for name, value in content.items() if isinstance(value, Lazy)]
    if others and not names:
        return f"a weight is named {shown(others[0])}, expected text"
    if not names:
        held = ", ".join(map(shown, list(content)[:6])) or "nothing"
        return f"no weights under {', '.join(CONTAINERS)} or at the top, which holds {held}"
    return (
        f"the weights of another model: {', '.join(map(shown, names[:3]))}, …; a TimeSformer has "
        "cls_token, pos_embed, blocks.0.attn.qkv.weight, …"
    )
