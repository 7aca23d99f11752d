"""Generated clips of a moving camera, and the small model that classifies its moves."""
