"""The Secret: what the two programs are told, and the gate's own key, which is made here."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from porthole_contract.configuration import gate_config, shelf_config, supervisor_config
from porthole_contract.stream.channels import SERVED, Channel, Mode
from porthole_contract.stream.grant import Issuer, SigningKey
from porthole_contract.ticket import SECRET_TICKET_KEY, TICKET_ISSUER
from porthole_contract.trace import Traceparent
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

OBSERVER: Final = "operator-observer"
"""The key id under which a gate knows the operator that listens to it."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What is secret of one session, made once and kept for all of its attempts.

    `gate`: the gate's certificate and key. `operator`: signs grants for this one gate, in the
    name of tickets and for listening to it; it is mounted in no container.
    """

    gate: "Certificate"
    operator: Ed25519PrivateKey

    @classmethod
    def make(cls, session: UUID, now: datetime) -> Self:
        """Make new ones; this is where the randomness is."""
        return cls(Certificate.make(session, now), Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, secret: Mapping[str, Any]) -> Self | None:
        """Return those that a Secret holds; None if it does not hold all of them."""
        data = secret.get("data") or {}
        gate = Certificate.read(data)
        try:
            pem = base64.b64decode(data[SECRET_TICKET_KEY], validate=True)
            operator = serialization.load_pem_private_key(pem, password=None)
        except (KeyError, ValueError, TypeError):
            return None
        if gate is None or not isinstance(operator, Ed25519PrivateKey):
            return None
        return cls(gate, operator)

    @property
    def issuers(self) -> tuple[Issuer, ...]:
        """What the gate is told about the operator's key: the most that each name may grant."""
        ticket = SigningKey(TICKET_ISSUER, self.operator)
        return (
            ticket.issuer(channels=(Channel.VNC, Channel.RDP), modes=SERVED[Channel.VNC]),
            self.observer.issuer(channels=(Channel.CONTROL,), modes=(Mode.OBSERVE,)),
        )

    @property
    def observer(self) -> SigningKey:
        """The key by which the operator listens to the gate."""
        return SigningKey(OBSERVER, self.operator)


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
        """Make a new one."""
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
            key=_pem(key),
            fingerprint=_fingerprint(made),
        )

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self | None:
        """Return the one in a Secret's `data`; None if there is none."""
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


def secret(recipe: Recipe, keys: Keys, start: Traceparent | None = None) -> dict[str, Any]:
    """Return the Secret; `start` is what the gate's own start is a part of."""
    desktop = supervisor_config(
        recipe.subject.name, recipe.effective, gate_uid=GATE_UID, stop_seconds=STOP_SECONDS
    )
    gate = gate_config(
        recipe.subject.id,
        keys.gate.fingerprint,
        (*recipe.site.issuers, *keys.issuers),
        listen=f"tcp:0.0.0.0:{GATE_PORT}",
        health=f"tcp:0.0.0.0:{HEALTH_PORT}",
        desktop_uid=DESKTOP_UID,
        protocols=recipe.effective.protocols,
        files=recipe.effective.files,
        clipboard=recipe.effective.clipboard,
        keyboard=recipe.effective.keyboard,
        traceparent=None if start is None else str(start),
    )
    data = {
        "desktop.json": _json(desktop),
        "gate.json": _json(gate),
        # While it sleeps and its files are used: the same gate, of a desktop without a screen.
        "files.json": _json(shelf_config(gate_uid=GATE_UID)),
        "files-gate.json": _json({**gate, "screens": []}),
        "tls.crt": keys.gate.certificate,
        "tls.key": keys.gate.key,
        SECRET_TICKET_KEY: _pem(keys.operator),
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


def _pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()


def _fingerprint(certificate: x509.Certificate) -> str:
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()
