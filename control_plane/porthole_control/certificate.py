"""The certificate of the `listen` address: given, or made by ourselves once and kept."""

import datetime as dt
import hashlib
import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from porthole_control.files import write_secret
from porthole_control.settings import Settings, split_address

_YEARS = 10


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files, and the fingerprint by which agents know one that nobody vouches for."""

    chain: Path
    key: Path
    fingerprint: str | None


def ensure(settings: Settings) -> Certificate:
    """Return the certificate to serve with, made now if none is given and none is kept."""
    if settings.tls_certificate is not None and settings.tls_key is not None:
        shown = _fingerprint(settings.tls_certificate) if settings.tls_pinned else None
        return Certificate(settings.tls_certificate, settings.tls_key, shown)
    chain, key = settings.secrets / "tls-certificate.pem", settings.secrets / "tls-key.pem"
    if not (chain.exists() and key.exists()):
        _make(chain, key, settings.listen)
    return Certificate(chain, key, _fingerprint(chain))


def _fingerprint(chain: Path) -> str:
    """Return the SHA-256 of the first certificate of a PEM file, in lower hex."""
    loaded = x509.load_pem_x509_certificate(chain.read_bytes())
    return hashlib.sha256(loaded.public_bytes(serialization.Encoding.DER)).hexdigest()


def _make(chain: Path, key_file: Path, listen: str | None) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Porthole")])
    begin = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    names: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        x509.DNSName(socket.gethostname()[:63] or "localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    if listen is not None:
        names.append(x509.IPAddress(ipaddress.ip_address(split_address(listen, 0)[0])))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=365 * _YEARS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # The key first: a certificate without its key would be kept for ever.
    write_secret(key_file, private)
    write_secret(chain, certificate.public_bytes(serialization.Encoding.PEM))
