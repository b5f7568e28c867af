"""Whose certificate is believed: the machine's authorities', or one by its fingerprint."""

import hashlib
import hmac
import ssl
from urllib.parse import urlsplit

from porthole_client.errors import Unreachable
from porthole_client.place import Place

_HTTPS = 443


def context_for(place: Place) -> ssl.SSLContext | None:
    """Return what connections to `place` verify with; None if it is reached without TLS.

    With a fingerprint the server is asked for its certificate once; if that is the one,
    it alone is trusted from then on, whatever names it carries.

    Raises:
        Unreachable: it shows no certificate, or another one.
    """
    if not place.is_secure:
        return None
    if place.fingerprint is None:
        return ssl.create_default_context()
    parts = urlsplit(place.server)
    try:
        pem = ssl.get_server_certificate((parts.hostname or "", parts.port or _HTTPS), timeout=10)
    except OSError as error:
        raise Unreachable(f"{place.server} shows no certificate: {error}") from None
    shown = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    if not hmac.compare_digest(shown, place.fingerprint.lower().replace(":", "")):
        raise Unreachable(
            f"{place.server} shows another certificate than the one that is trusted"
            f" (SHA-256 {shown}). Somebody may be in between."
        )
    context = ssl.create_default_context(cadata=pem)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
