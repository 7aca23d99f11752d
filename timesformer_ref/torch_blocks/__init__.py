"""The same model in PyTorch, for GPUs. Start at `model.TimeSformer`.

Every file has a NumPy twin with the same functions in the same order.
A function of weights and config is here a function of the model that
holds both, or a method of the module that does. Only dropout,
stochastic depth and initial values have no twin. Module and parameter
names are those of the original's state dict, and axes those of
`timesformer_ref.numpy_blocks`.
"""
