"""The patch projection in four layouts: one convolution, one weight, the same tokens."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

rng = np.random.default_rng(0)
weight = rng.standard_normal((5, 3, 2, 2), np.float32)  # d c p p, as in the file
frames = rng.standard_normal((1, 3, 4, 6), np.float32)  # b c H W

channel_last = frames.transpose(0, 2, 3, 1)
kernels = {
    "OIHW": weight,
    "HWIO": weight.transpose(2, 3, 1, 0),
    "OHWI": weight.transpose(0, 2, 3, 1),
}


def convolve(pixels: np.ndarray, layout: str, kernel: str) -> jax.Array:
    """The strided convolution, its result as tokens."""
    names = (layout, kernel, "NHWC")
    exact = jax.lax.Precision.HIGHEST
    y = jax.lax.conv_general_dilated(
        jnp.array(pixels), jnp.array(kernels[kernel]), (2, 2), "VALID",
        dimension_numbers=names, precision=exact,
    )  # fmt: skip
    return y.reshape(1, 6, 5)


pixels = frames.reshape(1, 3, 2, 2, 3, 2).transpose(0, 2, 4, 1, 3, 5).reshape(1, 6, 12)
tokens = pixels @ weight.reshape(5, 12).T  # no convolution at all
for layout, kernel in [("NCHW", "OIHW"), ("NHWC", "HWIO"), ("NHWC", "OHWI")]:
    video = frames if layout == "NCHW" else channel_last
    error = np.abs(convolve(video, layout, kernel) - tokens).max()
    print(f"video {layout}, kernel {kernel} {kernels[kernel].shape!s:13} off by {error:.0e}")
