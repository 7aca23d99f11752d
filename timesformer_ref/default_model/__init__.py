"""The model that comes with the package, of camera moves (its card is the README here)."""

from pathlib import Path

NAME = "camera-motion"
"""Its name wherever a checkpoint is named; a file or folder of that name takes precedence."""

FILE = Path(__file__).with_name(f"{NAME}.safetensors")
