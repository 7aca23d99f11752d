"""This project's NumPy implementation by the port interface, in float64."""

from spec_tests.ports import numpy_port
from spec_tests.ports.numpy_port import *  # noqa: F403

NAME = "timesformer_ref (NumPy, float64)"
DTYPE = "float64"
ATTENTION_TYPES = numpy_port.ATTENTION_TYPES
