"""`python -m porthole_control`: runs one control plane process (see `program.py`)."""

import gc
import sys

# What is imported stays: to look through it for rubbish meanwhile takes a fifth of the start.
gc.disable()
from porthole_control.program import main  # noqa: E402 - this is what takes so long

if __name__ == "__main__":
    sys.exit(main())
