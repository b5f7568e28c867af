"""What a gate is told: `config.json`, written by whoever starts it and trusted by nobody else.

`desktop/README.md` shows it. Unlike what comes over a wire, a field that is not known is
refused: a limit that was misspelt would not be one.
"""

from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from porthole_contract.errors import Invalid
from porthole_contract.keyboard import DEFAULT_KEYBOARD, Keyboard
from porthole_contract.stream.channels import Channel
from porthole_contract.stream.grant import Issuer
from porthole_contract.trace import TraceparentText
from porthole_desktop.gate.ways import Ways

VERSION = 1

Count = Annotated[int, Field(ge=1, le=2**31)]
Seconds = Annotated[float, Field(gt=0, le=86400)]
Address = Annotated[str, Field(pattern=r"^(unix:/.+|tcp:.+:\d{1,5})$")]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(_Settings):
    """Bounds on what comes from outside. All have a default that a person does not notice."""

    viewers: Count = 16
    """Streams on channels of the desktop at one time."""
    controllers: Count = 8
    """Streams on the channel `control` at one time."""
    strangers: Count = 32
    """Connections that have not shown a grant yet; more are closed at once."""
    preface_seconds: Seconds = 5
    """For the TLS handshake, and again for the preface."""
    greeting_seconds: Seconds = 10
    """For the greeting on both sides; in RDP, for each step of it."""
    opening_seconds: Seconds = 120
    """For the first word of a client of RDP after TLS: a person may be asked to trust the gate."""
    stalled_seconds: Seconds = 600
    """A viewer that takes nothing for this long is closed."""
    clipboard_bytes: Count = 2**20
    """A longer text does not pass, either way."""
    width: Count = 7680
    height: Count = 4320
    """The largest screen that a viewer may ask for, in pixels."""
    input_events_per_second: Count = 1000
    """Keys and pointer of one viewer; above it the viewer is read more slowly."""
    programs: Count = 16
    """Streams on the channel `exec` at one time."""
    program_seconds: Seconds = 86400
    """A program that somebody runs from outside is ended after this long."""
    files: Count = 16
    """Streams on the channel `files` at one time."""
    drives: Count = 16
    """Streams on the channel `drive` at one time."""
    frames_per_second: Count = 5000
    """Of one stream on `exec` or `files`; above it the stream is read more slowly."""
    nonces: Count = 65536
    """Grants remembered as used; when there are more, nobody new is let in for a while."""


class Files(_Settings):
    """Which way files may go, as the session's template has it."""

    upload: bool = True
    download: bool = True


class Clipboard(_Settings):
    """Which way the clipboard may go, and how much of it; None: as much as the gate lets pass."""

    upload: bool = True
    download: bool = True
    most: Count | None = None


class Config(_Settings):
    """The whole of it."""

    version: Literal[1] = 1
    session: UUID
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the certificate's DER; grants name it."""
    listen: Address = "unix:/run/gate/gate.sock"
    health: Address | None = None
    certificate: Path = Path("/run/gate-config/cert.pem")
    key: Path = Path("/run/gate-config/key.pem")
    rfb: Path = Path("/run/porthole/rfb.sock")
    rdp: Path = Path("/run/porthole/rdp.sock")
    supervisor: Path = Path("/run/porthole/supervisor.sock")
    screens: tuple[Literal[Channel.VNC, Channel.RDP], ...] = (Channel.VNC,)
    """The channels on which its desktop is seen; none: it does not run, only its files are here."""
    desktop_uid: Annotated[int, Field(ge=0, lt=2**32)]
    """Who owns the sockets of the desktop; others' are not opened."""
    issuers: Annotated[tuple[Issuer, ...], Field(min_length=1, max_length=64)]
    limits: Limits = Limits()
    files: Files = Files()
    clipboard: Clipboard = Clipboard()
    keyboard: Keyboard = DEFAULT_KEYBOARD
    """The desktop's layout, for viewers that do not say what theirs is."""
    traceparent: TraceparentText | None = None
    """What its start is a part of, for whoever collects traces; None: nobody does."""

    @property
    def ways(self) -> Ways:
        """Which way the clipboard goes, and how much of it, all in all."""
        said, most = self.clipboard, self.limits.clipboard_bytes
        most = most if said.most is None else min(most, said.most)
        return Ways(upload=said.upload, download=said.download, most=most)

    @property
    def runs_programs(self) -> bool:
        """Whether programs may be run from outside: whoever does carries all there is."""
        ways = (self.files.upload, self.files.download)
        return all((*ways, self.clipboard.upload, self.clipboard.download))


def read(path: Path) -> Config:
    """Read the file at `path`.

    Raises:
        Invalid: it is missing or wrong; the sentence names the first wrong field.
    """
    try:
        config = Config.model_validate_json(path.read_bytes())
    except OSError as error:
        raise Invalid(str(path), f"cannot be read: {error.strerror}") from None
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in fault["loc"]) or str(path)
        raise Invalid(where, fault["msg"]) from None
    for issuer in config.issuers:
        issuer.key()
    if len({issuer.key_id for issuer in config.issuers}) != len(config.issuers):
        raise Invalid("issuers", "two of them have the same key_id")
    return config
