"""TLS to a gate: one certificate is right, known by its fingerprint, and no other.

A gate's certificate is made with its session and named by whoever made it. Who connects first
compares, then speaks.
"""

import hashlib
import hmac
import ssl


def pinned_tls() -> ssl.SSLContext:
    """Return how TLS is spoken to a gate; `is_the_gate` comes before anything is said."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # The certificate is pinned by its fingerprint; no name and no authority is asked.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def is_the_gate(shown: ssl.SSLObject, fingerprint: str) -> bool:
    """Whether the certificate that was shown is the one of this fingerprint.

    Args:
        shown: of a connection whose handshake is done.
        fingerprint: SHA-256 of the certificate, lower hex.
    """
    certificate = shown.getpeercert(binary_form=True) or b""
    return hmac.compare_digest(hashlib.sha256(certificate).hexdigest(), fingerprint)
