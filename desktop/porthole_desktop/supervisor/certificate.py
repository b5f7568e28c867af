"""A key of the desktop's own, and the certificate that says which one it is.

Nobody vouches for it and nobody has to: whoever connects was told its fingerprint.
"""

import hashlib
import os
import ssl
import subprocess
from pathlib import Path
from typing import Final

from .screen import Unusable

PROGRAM: Final = "openssl"
CERTIFICATE: Final = "cert.pem"
KEY: Final = "key.pem"

_PATIENCE: Final = 30.0
# Debian's own settings name files that a desktop does not see.
_SETTINGS: Final = "[req]\nprompt = no\ndistinguished_name = name\n[name]\nCN = desktop\n"


def make(folder: Path) -> str:
    """Make key and certificate in `folder`; return the SHA-256 of its DER as hex digits.

    Raises:
        Unusable: they could not be made.
    """
    settings = folder / "certificate.conf"
    settings.write_text(_SETTINGS)
    words = (
        *("req", "-x509", "-config", str(settings), "-days", "3650", "-nodes"),
        *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
        *("-keyout", str(folder / KEY), "-out", str(folder / CERTIFICATE)),
    )
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            (PROGRAM, *words),
            env={"PATH": os.environ.get("PATH", os.defpath), "OPENSSL_CONF": str(settings)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unusable(f"No certificate could be made: {error}") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise Unusable(f"No certificate could be made: {' '.join(said)}")
    der = ssl.PEM_cert_to_DER_cert((folder / CERTIFICATE).read_text())
    return hashlib.sha256(der).hexdigest()
