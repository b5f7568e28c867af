"""Keys and certificates of a test's API server, and kubeconfigs of whoever a test needs."""

import base64
import datetime as dt
import ipaddress
import json
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE = dt.timedelta(days=1)
_EARLIER = dt.timedelta(minutes=5)


class Authority:
    """A certificate authority that lives as long as a test.

    Args:
        folder: where its files lie, once `make` was called.
    """

    def __init__(self, folder: Path) -> None:
        self.certificate = folder / "ca.pem"
        self.server_certificate = folder / "server.pem"
        self.server_key = folder / "server-key.pem"
        self.account_key = folder / "accounts.pem"
        self.account_public_key = folder / "accounts-public.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("porthole tests", ())
        self._own = self._sign(self._key.public_key(), self._name, authority=True)

    def make(self) -> None:
        """Write the authority's certificate, the server's, and the key of service accounts."""
        folder = self.certificate.parent
        folder.mkdir()
        self.certificate.write_bytes(_pem(self._own))
        key = ec.generate_private_key(ec.SECP256R1())
        self.server_certificate.write_bytes(
            _pem(self._sign(key.public_key(), _name("kube-apiserver", ()), server=True))
        )
        _write_key(self.server_key, key)
        accounts = ec.generate_private_key(ec.SECP256R1())
        _write_key(self.account_key, accounts)
        self.account_public_key.write_bytes(
            accounts.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        admin, admin_key = self._client("admin", ("system:masters",))
        (folder / "admin.pem").write_bytes(admin + admin_key)

    def context(self) -> ssl.SSLContext:
        """Return how the administrator speaks TLS to the server."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        context.load_cert_chain(self.certificate.parent / "admin.pem")
        return context

    def kubeconfig(self, url: str, user: str, groups: Sequence[str]) -> bytes:
        """Return a kubeconfig for the server at `url` with a new certificate of a user."""
        certificate, key = self._client(user, groups)
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "tests",
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": user}}],
            "clusters": [
                {
                    "name": "tests",
                    "cluster": {
                        "server": url,
                        "certificate-authority-data": _base64(_pem(self._own)),
                    },
                }
            ],
            "users": [
                {
                    "name": user,
                    "user": {
                        "client-certificate-data": _base64(certificate),
                        "client-key-data": _base64(key),
                    },
                }
            ],
        }
        return json.dumps(content, indent=2).encode()  # YAML, as all JSON is

    def _client(self, user: str, groups: Sequence[str]) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        return _pem(self._sign(key.public_key(), _name(user, groups))), _key_pem(key)

    def _sign(
        self,
        key: ec.EllipticCurvePublicKey,
        name: x509.Name,
        *,
        authority: bool = False,
        server: bool = False,
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        use = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLIER)
            .not_valid_after(now + _LIFE)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if not authority:
            made = made.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            made = made.add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        else:
            made = made.add_extension(_authority_usage(), critical=True)
            made = made.add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key), critical=False
            )
        if server:
            names = x509.SubjectAlternativeName(
                [
                    x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")),
                    x509.DNSName("localhost"),
                    x509.DNSName("kubernetes.default.svc"),
                ]
            )
            made = made.add_extension(names, critical=False)
        return made.sign(self._key, hashes.SHA256())


def _name(common: str, organizations: Sequence[str]) -> x509.Name:
    """Return a name as Kubernetes reads it: a user, and groups."""
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in organizations]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _authority_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(0o600)
    path.write_bytes(_key_pem(key))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
