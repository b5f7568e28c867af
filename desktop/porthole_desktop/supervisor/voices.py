"""What people say, as a microphone of the desktop: channel `microphone`.

    them -> us   speak {}                         BYTES 1: samples
    us -> them   hearing {rate, channels}, once they may send
                 failed {code, message}

Samples are signed, 16 bits, little-endian. Programs find one source; who speaks at the same time
is mixed, and while nobody does it is silent. What cannot be played in time is thrown away, for a
voice that is late is worse than one with a gap.
"""

import asyncio
import fcntl
import os
from collections.abc import Mapping
from typing import Final

from .channels import Channel, Refusal, Work
from .children import Children
from .protocol import Broken, Kind
from .talk import Talk

RATE: Final = 16_000
"""Samples a second: what speech needs."""
CHANNELS: Final = 1
MOST: Final = 8
"""People who speak at one time."""
LARGEST: Final = 4096
"""Bytes that come at once, 0.128 s: what a pipe takes whole or not at all."""
_SINK: Final = "voices"
_SOURCE: Final = "microphone"
_SAMPLE: Final = 2
_LATENCY_MS: Final = 40


def source() -> list[str]:
    """Return what has a PulseAudio server have a microphone, as arguments of its command."""
    called = "source_properties=device.description=Microphone"
    return [
        f"--load=module-null-sink sink_name={_SINK} rate={RATE} channels={CHANNELS}",
        f"--load=module-remap-source master={_SINK}.monitor source_name={_SOURCE} {called}",
    ]


def _player() -> list[str]:
    return [
        *("pacat", "--playback", "--raw", f"--device={_SINK}", "--format=s16le"),
        *(f"--rate={RATE}", f"--channels={CHANNELS}", f"--latency-msec={_LATENCY_MS}"),
        "--client-name=porthole",
    ]


class Voices:
    """All who speak to one desktop.

    Args:
        children: starts and reaps what they need.
    """

    def __init__(self, children: Children) -> None:
        self._children = children
        self._speaking = 0

    def begin(self, channel: Channel, env: Mapping[str, str], *, can_hear: bool) -> Work:
        """Serve a channel that somebody speaks on; `env` is that of the desktop's programs.

        Raises:
            Refusal: the desktop has no sound, or too many speak.
        """
        if not can_hear:
            raise Refusal("no_sound", "This desktop has nothing that could hear.")
        if self._speaking >= MOST:
            raise Refusal("too_many", f"{MOST} speak already.")
        self._speaking += 1
        return self._serve(Talk(channel), env)

    async def _serve(self, talk: Talk, env: Mapping[str, str]) -> None:
        try:
            asked = await talk.message()
            if asked["type"] != "speak":
                sentence = "The first message says that somebody wants to speak."
                await talk.say("failed", code="unknown_request", message=sentence)
                return
            async with self._children.piped(_player(), env, reads=True) as pipe:
                try:
                    os.set_blocking(pipe, False)
                    # One page, the least that there is: what waits in a pipe is late.
                    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, LARGEST)
                    await talk.say("hearing", rate=RATE, channels=CHANNELS)
                    await _carry(talk, pipe)
                finally:
                    os.close(pipe)
            await talk.say("failed", code="no_sound", message="What heard you has ended.")
        finally:
            self._speaking -= 1


async def _carry(talk: Talk, pipe: int) -> None:
    """Write what comes, as far as it is taken; return if nothing takes it any more.

    Raises:
        Over: nobody speaks any more.
        Broken: what came is no sound.
    """
    while True:
        frame = await talk.hear()
        size = len(frame.payload)
        if frame.kind is not Kind.BYTES or not 0 < size <= LARGEST or size % _SAMPLE:
            raise Broken("What came is no sound.")
        try:
            os.write(pipe, frame.payload)
        except BlockingIOError:
            continue
        except BrokenPipeError:
            return
        await asyncio.sleep(0)
