"""The executable specification of TimeSformer, the first video transformer (arXiv 2102.05095)."""
