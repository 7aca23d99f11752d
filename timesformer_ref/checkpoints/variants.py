"""The thirteen published checkpoints (original repository's model zoo), and how to name one."""

from dataclasses import dataclass, replace

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.input.preprocessing import ChannelOrder, Preprocessing


@dataclass(frozen=True)
class Variant:
    """One published checkpoint: ViT-Base, patch 16, divided attention.

    model: TimeSformer, TimeSformer-HR (larger frames) or TimeSformer-L (longer clips).
    rate: a clip spans frames times rate frames at 30 per second; None for one frame per segment.
    top1, top5: reported accuracy on the validation set, per cent: three crops of one clip, for
        HowTo100M of as many clips as cover the video.
    hub: the Hugging Face id of the converted file, where there is one.
    """

    model: str
    dataset: str
    classes: int
    frames: int
    rate: int | None
    crop: int
    top1: float
    top5: float | None
    file: str
    hub: str | None = None

    @property
    def name(self) -> str:
        """The file's name without its ending; it is unique."""
        return self.file.removesuffix(".pyth")

    @property
    def config(self) -> TimeSformerConfig:
        """The config of its weights."""
        return TimeSformerConfig(
            image_size=self.crop, num_frames=self.frames, num_labels=self.classes
        )

    @property
    def preprocessing(self) -> Preprocessing:
        """The preprocessing that its weights expect.

        Something-Something frames entered the original in BGR order; a single crop is taken from a
        frame whose shorter side is the smallest that training saw, 256 for 224, else the crop's own
        (original configs, `TRAIN_JITTER_SCALES`, and `ssv2.py`).
        """
        segments = self.dataset == "SSv2"
        order: ChannelOrder = "bgr" if segments else "rgb"
        scale = 256 if self.crop == 224 and not segments else self.crop
        return Preprocessing(self.frames, self.rate, self.crop, scale, channel_order=order)


def _variant(
    model: str, dataset: str, clip: str, crop: int, top1: float, top5: float | None, hub: bool
) -> Variant:
    classes = {"K400": 400, "K600": 600, "SSv2": 174, "HowTo100M": 1059}[dataset]
    frames, _, rate = clip.partition("x")
    kind = "hr" if model.endswith("HR") else "base"
    return Variant(
        model, dataset, classes, int(frames), int(rate) if rate else None, crop, top1, top5,
        # The file of the HowTo100M variant that is listed with 448 pixels says 224.
        f"TimeSformer_divST_{clip}_{224 if dataset == 'HowTo100M' else crop}_{dataset}.pyth",
        f"facebook/timesformer-{kind}-finetuned-{dataset.lower()}" if hub else None,
    )  # fmt: skip


VARIANTS: tuple[Variant, ...] = (
    _variant("TimeSformer", "K400", "8x32", 224, 77.9, 93.2, True),
    _variant("TimeSformer-HR", "K400", "16x16", 448, 79.6, 94.0, True),
    _variant("TimeSformer-L", "K400", "96x4", 224, 80.6, 94.7, False),
    _variant("TimeSformer", "K600", "8x32", 224, 79.1, 94.4, True),
    _variant("TimeSformer-HR", "K600", "16x16", 448, 81.8, 95.8, True),
    _variant("TimeSformer-L", "K600", "96x4", 224, 82.2, 95.6, False),
    _variant("TimeSformer", "SSv2", "8", 224, 59.1, 85.6, True),
    _variant("TimeSformer-HR", "SSv2", "16", 448, 61.8, 86.9, True),
    _variant("TimeSformer-L", "SSv2", "64", 224, 62.0, 87.5, False),
    _variant("TimeSformer", "HowTo100M", "8x32", 224, 56.8, None, False),
    _variant("TimeSformer", "HowTo100M", "32x32", 224, 61.2, None, False),
    _variant("TimeSformer", "HowTo100M", "64x32", 448, 62.2, None, False),
    _variant("TimeSformer", "HowTo100M", "96x32", 224, 62.6, None, False),
)
"""In the order of the original's table."""


def find_variant(name: str) -> Variant:
    """The one published variant whose name, file or hub id has all words of `name`.

    Words are separated by anything but letters and digits, and case does not count: `k400 hr`,
    `8x32-k600` and a file's whole name work.
    Raises ValueError with the choices where none or several match.
    """
    words = _words(name)
    found = [v for v in VARIANTS if words <= _words(f"{v.model} {v.file} {v.hub or ''} {v.crop}")]
    exact = [v for v in found if any(words == _words(n) for n in (v.file, v.name, v.hub) if n)]
    found = exact or found
    if len(found) == 1:
        return found[0]
    choices = ", ".join(v.name for v in found or VARIANTS)
    problem = f"fits {len(found)} published variants" if found else "is no published variant"
    raise ValueError(f"{name!r} {problem}: choose from {choices}")


def _words(text: str) -> set[str]:
    return set("".join(c if c.isalnum() else " " for c in text.lower()).split())


def matching_variant(config: TimeSformerConfig) -> Variant | None:
    """The published variant of this geometry, if there is one; training's rates do not count."""
    rates = ("hidden_dropout_prob", "attention_probs_dropout_prob", "drop_path_rate")
    published = {name: getattr(TimeSformerConfig, name) for name in rates}
    geometry = replace(config, **published)
    return next((variant for variant in VARIANTS if variant.config == geometry), None)
