"""The same model in PyTorch, to be run on a GPU and trained. Start at `model.TimeSformer`.

Every file but `fold` and `pack` has a NumPy twin with the same parts in the same order; where a
part has weights, the NumPy function's twin is the module's `forward`. What only training needs
(dropout, stochastic depth, start values) has no twin. Module and parameter names are those of the
original's state dict, and axes those of `timesformer_ref.numpy_blocks`.
"""
