"""Files that nobody should trust, made from a seed, and read in processes with limits."""
