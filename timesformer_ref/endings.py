"""The endings of the files that are written, which wrong use is refused by before slow imports."""

from typing import Literal

Form = Literal["original", "Hugging Face", "safetensors"]

CHECKPOINTS: dict[str, Form] = {
    ".pyth": "original", ".pth": "original", ".safetensors": "safetensors", "": "Hugging Face",
}  # fmt: skip
"""The form of a checkpoint by the ending of its name; a name without one is a folder's."""

EXPORTS = {".onnx": ("onnx", "onnxscript"), ".pt2": ()}
"""The formats of exported models, with the packages that writing them needs."""

FEATURES = (".npz", ".safetensors")
ATTENTION = (".png", ".gif")
"""Pictures of attention: all frames at once, or one frame after another."""
TIMELINES = (".png", ".svg", ".pdf")
