"""The specification: TimeSformer in NumPy, to be read. Start at `model.forward`.

Axes, in every pattern and docstring: b batch, t frames, c channels, H W pixels, h w patch grid,
n = h w patches of a frame, d width, a heads, k width of a head, g groups, s tokens of a sequence.
"""
