"""Faster copies of a trained model, with the same answers. Start at `pack.fastest`.

They are no part of the specification and have no NumPy twins; the suite judges each as a port.
"""
