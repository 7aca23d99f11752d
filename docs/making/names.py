"""The schemes' names in prose."""

from __future__ import annotations

from timesformer_ref.schemes import SCHEMES

NAMES = {scheme: scheme.replace("_", " ") for scheme in SCHEMES}
