"""The model that comes with the package: how the camera moves (its card is the README here)."""

from pathlib import Path

NAME = "camera-motion"
"""What it is called wherever a checkpoint is named; a file or folder of that name goes first."""

FILE = Path(__file__).with_name(f"{NAME}.safetensors")
