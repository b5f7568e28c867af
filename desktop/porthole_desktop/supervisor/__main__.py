"""Run by path (`python3 -I FOLDER`) or as a module (`python -m porthole_desktop.supervisor`)."""

import importlib
import sys
from pathlib import Path

package = __package__
if not package:
    # Run by path, this folder itself stands first on the path. Its parent has to, so that
    # the folder is a package and the modules in it shadow nothing.
    folder = Path(__file__).resolve().parent
    sys.path[0] = str(folder.parent)
    package = folder.name

sys.exit(importlib.import_module(f"{package}.run").main())
