"""The Secret: what the two programs are told, and the gate's own key, which is made here."""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from porthole_contract.configuration import gate_config, supervisor_config
from porthole_operator.desired.gate import HEALTH_PORT
from porthole_operator.desired.recipe import (
    DESKTOP_UID,
    GATE_UID,
    STOP_SECONDS,
    Recipe,
    metadata,
    shaped,
)
from porthole_operator.status import GATE_PORT


@dataclass(frozen=True, slots=True)
class Certificate:
    """A gate's certificate and key, in PEM; who connects knows its fingerprint and asks no more.

    `fingerprint`: SHA-256 of the DER, lower hex.
    """

    certificate: bytes
    key: bytes
    fingerprint: str

    @classmethod
    def make(cls, session: UUID, now: datetime) -> Self:
        """Make a new one; this is where the randomness is."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"gate of {session}")])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=3660))
            .sign(key, hashes.SHA256())
        )
        return cls(
            certificate=made.public_bytes(serialization.Encoding.PEM),
            key=key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
            fingerprint=_fingerprint(made),
        )

    @classmethod
    def read(cls, secret: dict[str, Any]) -> Self | None:
        """Return the one that a Secret holds; None if it holds none."""
        data = secret.get("data") or {}
        try:
            certificate = base64.b64decode(data["tls.crt"], validate=True)
            key = base64.b64decode(data["tls.key"], validate=True)
            shown = x509.load_pem_x509_certificate(certificate)
            private = serialization.load_pem_private_key(key, password=None)
        except (KeyError, ValueError, TypeError):
            return None
        if private.public_key() != shown.public_key():
            return None
        return cls(certificate, key, _fingerprint(shown))


def secret(recipe: Recipe, certificate: Certificate) -> dict[str, Any]:
    """Return the Secret."""
    desktop = supervisor_config(
        recipe.subject.name, recipe.effective, gate_uid=GATE_UID, stop_seconds=STOP_SECONDS
    )
    gate = gate_config(
        recipe.subject.id,
        certificate.fingerprint,
        recipe.site.issuers,
        listen=f"tcp:0.0.0.0:{GATE_PORT}",
        health=f"tcp:0.0.0.0:{HEALTH_PORT}",
        desktop_uid=DESKTOP_UID,
    )
    data = {
        "desktop.json": _json(desktop),
        "gate.json": _json(gate),
        "tls.crt": certificate.certificate,
        "tls.key": certificate.key,
    }
    return shaped(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata(recipe),
            "type": "Opaque",
            "data": {name: base64.b64encode(value).decode() for name, value in data.items()},
        }
    )


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()


def _fingerprint(certificate: x509.Certificate) -> str:
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()
