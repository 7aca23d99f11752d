"""A reader of vectors in a few lines, with nothing of the suite: an example for other languages."""

import json

import numpy as np
from safetensors import safe_open


def failures(folder, call, arithmetic="float32"):
    """Yield the rows of the cases that a port fails.

    call: gets a case's row, the tensors of its file, and weights by name; returns the parts of the
    port's answer by name, or None where the port refuses.
    """
    index, answers = json.loads((folder / "index.json").read_text("utf-8")), {}
    column = index["arithmetics"].index(arithmetic)
    for case in index["cases"]:
        tensors = read(folder / "cases" / f"{case['name']}.safetensors")
        weights = read(folder / case["weights"]) if case["weights"] else {}
        answer = answers[case["name"]] = call(case, tensors, weights)
        if answer is None:
            right = case["check"] == "refusal" or "may_refuse" in case
        else:
            right = case["check"] != "refusal" and is_right(case, tensors, answers, column)
        if not right:
            yield case


def is_right(case, tensors, answers, column):
    """Whether the answer to a case has the right form, and numbers within the bound."""
    answer = answers[case["name"]]
    if {part: list(x.shape) for part, x in answer.items()} != case["shapes"]:
        return False
    for part, found in answer.items():
        if not np.isfinite(found).all():
            return False
        if f"expected.{part}" in tensors:
            asked = tensors[f"expected.{part}"]
            right = answers[case["same_as"]][part] if "same_as" in case else asked
            off = np.abs(found - right)[~np.isnan(asked)].max(initial=0)
            if not off <= tensors[f"bound.{part}"][column]:
                return False
    return True


def read(path):
    """The tensors of a file by name."""
    with safe_open(path, "np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
