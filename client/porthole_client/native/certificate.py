"""The certificate that an RDP program is shown: made for one door, known by its fingerprint."""

import hashlib
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

_BITS = 2048
_DAYS = 30


def make(name: str) -> tuple[ssl.SSLContext, str]:
    """Return how TLS is spoken at a door, and its SHA-256, lower hex.

    RSA, since not every RDP program takes anything else.
    """
    now = datetime.now(UTC)
    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    whom = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(whom)
        .issuer_name(whom)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_DAYS))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.TemporaryDirectory(prefix="porthole-door-") as folder:
        file = Path(folder, "both.pem")
        file.touch(mode=0o600)
        file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
        context.load_cert_chain(file)
    raw = made.public_bytes(serialization.Encoding.DER)
    return context, hashlib.sha256(raw).hexdigest()
