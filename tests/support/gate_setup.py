"""A gate's certificate, keys and grants, made on the spot for a test."""

import datetime as dt
import os
import ssl
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from porthole_contract.stream.channels import PROTOCOLS, Channel
from porthole_contract.stream.grant import Claims, SigningKey, issue, nonce
from porthole_contract.stream.preface import Request


@dataclass(frozen=True)
class GateIdentity:
    """What a test needs to be the one who starts a gate and grants rights to it."""

    folder: Path
    session: UUID = field(default_factory=uuid4)
    key: SigningKey = field(
        default_factory=lambda: SigningKey("agent-1", Ed25519PrivateKey.generate())
    )
    guest: SigningKey = field(
        default_factory=lambda: SigningKey("guest", Ed25519PrivateKey.generate())
    )
    fingerprint: str = ""

    @classmethod
    def make(cls, folder: Path) -> "GateIdentity":
        """Write `cert.pem` and `key.pem` into `folder`."""
        private = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gate")])
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .sign(private, hashes.SHA256())
        )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (folder / "key.pem").write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        der = certificate.public_bytes(serialization.Encoding.DER)
        return cls(folder, fingerprint=sha256(der).hexdigest())

    def config(self, sockets: Path, **changes: Any) -> dict[str, Any]:
        """Return a gate's configuration for a desktop whose sockets are in `sockets`."""
        issuer = self.key.issuer(
            ("vnc", "rdp", "control", "drive", "exec", "files", "audio", "microphone"),
            ("view", "control", "observe", "command"),
        )
        guest = self.guest.issuer(("vnc",), ("view", "control"))
        return {
            "version": 1,
            "session": str(self.session),
            "fingerprint": self.fingerprint,
            "listen": f"unix:{self.folder}/gate.sock",
            "health": f"unix:{self.folder}/health.sock",
            "certificate": str(self.folder / "cert.pem"),
            "key": str(self.folder / "key.pem"),
            "rfb": str(sockets / "rfb.sock"),
            "rdp": str(sockets / "rdp.sock"),
            "supervisor": str(sockets / "supervisor.sock"),
            "desktop_uid": os.getuid(),
            "issuers": [
                one.to_dict() | {"key_id": one.key_id, "public_key": one.public_key}
                for one in (issuer, guest)
            ],
            **changes,
        }

    def claims(self, channel: str = "vnc", mode: str = "control", **changes: Any) -> Claims:
        """Return claims that this gate accepts."""
        now = dt.datetime.now(dt.UTC)
        return Claims.model_validate(
            {
                "session": self.session,
                "gate": self.fingerprint,
                "channel": channel,
                "mode": mode,
                "nonce": nonce(os.urandom(16)),
                "expires": now + dt.timedelta(seconds=30),
                **changes,
            }
        )

    def request(
        self,
        channel: str = "vnc",
        mode: str = "control",
        stream: UUID | None = None,
        **changes: Any,
    ) -> Request:
        """Return a request with a good grant."""
        token = issue(self.key, self.claims(channel, mode, **changes), dt.datetime.now(dt.UTC))
        return Request(
            stream=stream or uuid4(),
            channel=channel,
            protocol=PROTOCOLS[Channel(channel)][0],
            mode=mode,
            grant=token,
        )

    def tls(self) -> ssl.SSLContext:
        """Return a viewer's context that trusts this gate alone."""
        context = ssl.create_default_context(cafile=str(self.folder / "cert.pem"))
        context.check_hostname = False
        return context
