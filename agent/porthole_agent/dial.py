"""How the agent reaches its control plane: addresses, and TLS that trusts the right one.

A control plane with a certificate of its own making is trusted by the certificate itself,
whose fingerprint the join token carried. Any other is trusted as browsers do it, and if an
authority of one's own vouches for it. A proxy that the environment names (HTTPS_PROXY,
NO_PROXY) is used for everything that is dialled at a control plane.
"""

import asyncio
import hashlib
import hmac
import ssl
from urllib.parse import urlsplit

from porthole_contract.errors import Refused

LINK_PATH = "/api/v1/agents/link"
_TIMEOUT = 10.0


def websocket_url(base: str, path: str) -> str:
    """Return the WebSocket URL of `path` at the control plane whose URL is `base`.

    Host and port are written as they will stand in the Host header, from which the control
    plane knows what was dialled: in lower case, and without a port that goes without saying.
    """
    parts = urlsplit(base)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    host = parts.netloc.lower().removesuffix(":443" if scheme == "wss" else ":80")
    return f"{scheme}://{host}{parts.path.rstrip('/')}{path}"


def tls_context(
    base: str, certificate: str | None, authority: str | None = None
) -> ssl.SSLContext | None:
    """Return how TLS to `base` is verified; None if it is not spoken there.

    Args:
        base: the control plane's URL.
        certificate: the PEM of a self-made certificate that is trusted as it is.
        authority: the PEM of those who vouch for any other, besides the public ones.
    """
    if urlsplit(base).scheme not in {"https", "wss"}:
        return None
    context = ssl.create_default_context()
    if authority is not None:
        context.load_verify_locations(cadata=authority)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=certificate)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        # It is this one certificate that is trusted, whatever name it was made for.
        context.check_hostname = False
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def pinned_certificate(base: str, fingerprint: str) -> str:
    """Return the PEM of the certificate that `base` shows, if it is the expected one.

    Args:
        base: the control plane's URL.
        fingerprint: SHA-256 of the certificate, lower hex.

    Raises:
        Refused: `control_plane_unreachable` or `control_plane_not_genuine`.
    """
    parts = urlsplit(base)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is said before it has been compared
    try:
        async with asyncio.timeout(_TIMEOUT):
            _, writer = await asyncio.open_connection(
                parts.hostname, parts.port or 443, ssl=context
            )
    except (OSError, TimeoutError) as error:
        raise Refused(
            "control_plane_unreachable", f"{base} does not answer: {error or 'time is up'}."
        ) from error
    shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    if not hmac.compare_digest(hashlib.sha256(shown).hexdigest(), fingerprint.lower()):
        raise Refused(
            "control_plane_not_genuine",
            f"{base} shows another certificate than the one that the join token names."
            " Ask for the line to paste again, and look who is between you and it.",
        )
    return ssl.DER_cert_to_PEM_cert(shown)
