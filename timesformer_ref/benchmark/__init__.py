"""Time and memory of this project's models, of others', and of bare matrix products."""
