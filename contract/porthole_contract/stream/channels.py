"""What a stream may be about, and how: names that stay open.

A name that nobody knows, or that is known and not served, is refused in words and never
guessed at; so a new channel needs no new major version.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from porthole_contract.errors import Refused


class Channel(StrEnum):
    """What a stream carries."""

    VNC = "vnc"  # the desktop, in RFB
    CONTROL = "control"  # the gate itself: its state, and orders to it
    RDP = "rdp"  # the desktop, in RDP
    AUDIO = "audio"  # what the desktop plays
    MICROPHONE = "microphone"  # what the desktop records
    FILES = "files"  # the home: up- and downloads
    EXEC = "exec"  # a program inside the desktop
    DRIVE = "drive"  # pictures of the desktop, keys, pointer and clipboard, for programs


class Mode(StrEnum):
    """What the one who opened a stream may do on it."""

    VIEW = "view"  # look: no key, pointer, clipboard or resize passes
    CONTROL = "control"  # look and use
    OBSERVE = "observe"  # on `control`: hear the gate's state
    COMMAND = "command"  # on `control`: hear it, change modes, close streams


class Auth(StrEnum):
    """How the viewer proves itself to the desktop's own protocol, beside the grant."""

    NONE = "none"
    VNC_AUTH = "VncAuth"
    TLS_PLAIN = "TLS-plain"


class Wire(StrEnum):
    """What is spoken on a channel once the preface is over."""

    RFB = "rfb"  # RFB from its first byte, security `None`
    LINES = "lines"  # one JSON object a line (`control`)
    RDCLEANPATH = "rdcleanpath"  # a RDCleanPath request, its answer, then RDP without TLS
    FRAMES = "frames"  # messages and bytes in frames (`frames`), to and from the supervisor
    RDP = "rdp"  # X.224, then TLS with the gate's certificate inside the stream
    DRIVE = "drive"  # lines of JSON, some of them followed by raw bytes


SERVED: Mapping[Channel, frozenset[Mode]] = MappingProxyType(
    {
        Channel.VNC: frozenset({Mode.VIEW, Mode.CONTROL}),
        Channel.RDP: frozenset({Mode.VIEW, Mode.CONTROL}),
        Channel.CONTROL: frozenset({Mode.OBSERVE, Mode.COMMAND}),
        Channel.DRIVE: frozenset({Mode.VIEW, Mode.CONTROL}),
        Channel.EXEC: frozenset({Mode.CONTROL}),
        Channel.FILES: frozenset({Mode.VIEW, Mode.CONTROL}),
        Channel.AUDIO: frozenset({Mode.VIEW, Mode.CONTROL}),
        Channel.MICROPHONE: frozenset({Mode.CONTROL}),
    }
)
"""The channels that gates of this version know, with the modes of each."""

PROTOCOLS: Mapping[Channel, tuple[Wire, ...]] = MappingProxyType(
    {
        Channel.VNC: (Wire.RFB,),
        Channel.RDP: (Wire.RDCLEANPATH, Wire.RDP),
        Channel.CONTROL: (Wire.LINES,),
        Channel.DRIVE: (Wire.DRIVE,),
        Channel.EXEC: (Wire.FRAMES,),
        Channel.FILES: (Wire.FRAMES,),
        Channel.AUDIO: (Wire.FRAMES,),
        Channel.MICROPHONE: (Wire.FRAMES,),
    }
)
"""What can be spoken on a channel; the first is spoken unless another is asked for."""

DESKTOPS: Mapping[str, tuple[Channel, ...]] = MappingProxyType(
    {"vnc": (Channel.VNC,), "rdp": (Channel.RDP,)}
)
"""The channels on which a desktop of a session's protocol is seen; the first is the usual one."""

BESIDE: Final = frozenset(
    {
        Channel.CONTROL,
        Channel.DRIVE,
        Channel.EXEC,
        Channel.FILES,
        Channel.AUDIO,
        Channel.MICROPHONE,
    }
)
"""The channels of every desktop, beside those on which it is seen."""
_VNC_DESKTOP: Final = frozenset({Channel.VNC}) | BESIDE

_SHOWN: Final = 32
"""How many characters of a peer's name a sentence repeats."""


def check_served(
    channel: str,
    protocol: str,
    mode: str,
    auth: str,
    *,
    serves: Collection[Channel] = _VNC_DESKTOP,
) -> tuple[Channel, Mode]:
    """Return the channel and mode that these names mean, if they are served.

    `serves` are the channels of the gate's own desktop, and those beside it.

    Raises:
        Refused: `unknown_channel`, `channel_not_served`, `protocol_not_served`,
            `mode_not_served` or `auth_not_served`.
    """
    if channel not in set(Channel):
        raise Refused("unknown_channel", f"There is no channel named {_quote(channel)}.")
    wanted = Channel(channel)
    if wanted not in serves or wanted not in SERVED:
        raise Refused("channel_not_served", f"This gate does not serve the channel '{wanted}'.")
    if protocol not in PROTOCOLS[wanted]:
        spoken = " or ".join(f"'{name}'" for name in PROTOCOLS[wanted])
        raise Refused(
            "protocol_not_served",
            f"On the channel '{wanted}' this gate speaks {spoken}, not {_quote(protocol)}.",
        )
    modes = SERVED[wanted]
    if mode not in modes:
        offered = " or ".join(f"'{name}'" for name in sorted(modes))
        raise Refused(
            "mode_not_served",
            f"The channel '{wanted}' is opened in mode {offered}, not {_quote(mode)}.",
        )
    if auth != Auth.NONE:
        raise Refused(
            "auth_not_served",
            f"This gate asks for nothing beside the grant (auth 'none'), not {_quote(auth)}.",
        )
    return wanted, Mode(mode)


def usual(channel: str) -> str:
    """Return what is spoken on a channel; one that is not known here speaks its own name."""
    known = channel in set(Channel) and Channel(channel) in PROTOCOLS
    return PROTOCOLS[Channel(channel)][0] if known else channel


def _quote(name: str) -> str:
    """Quote a peer's name for a sentence: printable ASCII, and not too much of it."""
    shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."
    return ascii(shown)
