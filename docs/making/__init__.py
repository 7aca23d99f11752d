"""What writes the generated part of the site; `python docs/generate.py` runs it all."""
