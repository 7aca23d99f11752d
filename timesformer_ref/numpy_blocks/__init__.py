"""The specification: TimeSformer in NumPy. Start at `model.forward`.

Axes, in every pattern and docstring: b batch, t frames, c channels,
H W pixels, h w patch grid, n = h w patches of a frame, p q rows and
columns of a patch, d width, a heads, k width of a head, s tokens of a
sequence, g groups, m tokens of a group (with the class token where it
takes part), i o inputs and outputs of a layer. b2 is b, or b t where
each frame is a clip of its own.
"""
