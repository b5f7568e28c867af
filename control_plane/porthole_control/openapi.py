"""`python -m porthole_control.openapi [FILE]`: writes the API's description.

The console's client is generated from it, so it is committed; a test proves it fresh.
"""

import json
import sys
from pathlib import Path

from porthole_control.app import create_app
from porthole_control.settings import Settings

COMMITTED = Path(__file__).parent.parent / "openapi.json"


def text() -> str:
    """Return OpenAPI 3.1 as JSON, the same every time."""
    # No home is looked at: the description does not depend on where it runs.
    app = create_app(Settings.model_construct())
    return json.dumps(app.openapi(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else COMMITTED
    target.write_text(text(), encoding="utf-8")
