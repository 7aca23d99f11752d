"""Run the command line: `python -m timesformer_ref`."""

from timesformer_ref.cli import main

main()
