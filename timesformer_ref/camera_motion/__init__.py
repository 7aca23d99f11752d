"""Clips of a moving camera, made from a seed, and the small model that learns to name its moves."""
