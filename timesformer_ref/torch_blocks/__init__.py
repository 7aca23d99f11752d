"""The same model in PyTorch, to be run on a GPU and trained. Start at `model.TimeSformer`.

Every file, and in it every part, has a NumPy twin of the same name; a NumPy function's twin is
that module's `forward`. Module and parameter names are those of the original's state dict.
Axes: b batch, t frames, c channels, H W pixels, h w patch grid, n = h w patches of a frame,
d width, a heads, k width of a head, g groups, s tokens of a sequence.
"""
