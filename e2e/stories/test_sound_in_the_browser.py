"""What a desktop plays is heard in the browser, and what is said there in the desktop."""

import array
import asyncio
import math
import wave
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from e2e.support.console import Console, chromium, eventually
from e2e.support.instance import Instance
from e2e.support.outside import Desktop
from e2e.support.viewers import api
from tests.support.loudness import loudness

RATE = 48_000
TONE = 440
VOICE = 300
SAMPLES = f"--raw --format=s16le --rate={RATE} --channels=1"
Run = Callable[[str], Awaitable[None]]
_EARS = """
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...more) {
  if (this instanceof AudioWorkletNode && to === this.context.destination) {
    const ears = this.context.createAnalyser();
    ears.fftSize = 16384;
    ears.smoothingTimeConstant = 0;
    connect.call(this, ears);
    window.ears = ears;
  }
  return connect.call(this, to, ...more);
};
"""
_LOUDEST = """() => {
  if (!window.ears) return [0, -999];
  const found = new Float32Array(window.ears.frequencyBinCount);
  window.ears.getFloatFrequencyData(found);
  const at = found.reduce((best, value, index) => (value > found[best] ? index : best), 0);
  return [at * window.ears.context.sampleRate / window.ears.fftSize, found[at]];
}"""


def tone(seconds: int, hertz: int = TONE) -> bytes:
    """Return samples of a tone: mono, 16 bits."""
    swing = (math.sin(2 * math.pi * hertz * at / RATE) for at in range(RATE * seconds))
    return array.array("h", (int(12_000 * one) for one in swing)).tobytes()


@pytest.mark.timeout(240)
async def test_tones_are_heard_both_ways(instance: Instance, tmp_path: Path) -> None:
    voice = tmp_path / "voice.wav"
    _write_wave(voice, tone(5, VOICE))
    switches = (
        *("--autoplay-policy=user-gesture-required", "--use-fake-device-for-media-stream"),
        f"--use-file-for-fake-audio-capture={voice}",
    )
    async with chromium(*switches) as browser:
        me = await Console.open(browser, "sound")
        async with me.shot_if_it_fails(), api(instance.url, instance.admin_token()) as mine:
            await me.page.add_init_script(_EARS)
            await me.sign_in(instance.another_link())
            # However it is seen, it is heard in the same way.
            for template in ("desktop", "rdp"):
                await me.page.goto(f"{instance.url}/#/")
                if template == "rdp":  # a browser that cannot decode Opus has samples
                    await me.page.evaluate("delete window.AudioDecoder")
                session = await me.new_session(template)
                await me.until_state("open", within=60)
                run = partial(_run, instance, session)
                await _is_heard(me, mine, session, run)
                await _hears(me, mine, session, run)
                await me.shoot(f"1-{template}")
                await me.press("sound")
                await eventually(partial(_is_over, mine, session), 15, "the end of the stream")
                instance.porthole("session", "delete", session, "--wait")
            assert me.failures == []


async def _run(instance: Instance, session: str, line: str) -> None:
    """Run a line in the session's desktop."""
    await asyncio.to_thread(instance.porthole, "session", "exec", session, "--", "sh", "-c", line)


async def _is_heard(me: Console, mine: httpx.AsyncClient, session: str, run: Run) -> None:
    (Desktop.of(session).root / "home/user/tone").write_bytes(tone(20))
    # Nobody has asked to hear anything: nothing is recorded.
    assert await _listeners(mine, session) == []
    await me.page.evaluate("() => { window.ears = null; }")
    await me.press("sound")
    heard: list[float] = [0.0, -999.0]

    async def is_on() -> bool:
        return bool(await me.page.evaluate("() => window.ears !== null"))

    await eventually(is_on, 20, "something that plays")
    await run(f"setsid -f pacat {SAMPLES} tone")

    async def is_heard() -> bool:
        nonlocal heard
        heard = await me.page.evaluate(_LOUDEST)
        return abs(heard[0] - TONE) < 6 and heard[1] > -40

    await eventually(is_heard, 20, lambda: f"a tone of {TONE} Hz, not {heard}")


async def _hears(me: Console, mine: httpx.AsyncClient, session: str, run: Run) -> None:
    """Speak into the desktop, whose program records whatever there is."""
    assert await _streams(mine, session, "microphone") == []
    await me.page.context.grant_permissions(["microphone"])
    await me.press("microphone")

    async def is_on() -> bool:
        return len(await _streams(mine, session, "microphone")) == 1

    await eventually(is_on, 15, "a stream that somebody speaks on")
    await run(f"timeout 4 parec {SAMPLES} > said; true")
    said = array.array("h", (Desktop.of(session).root / "home/user/said").read_bytes())[-2 * RATE :]
    assert loudness(said, VOICE, RATE) > 10 * loudness(said, 700, RATE)
    await me.press("microphone")

    async def is_off() -> bool:
        return all(one["closed_at"] for one in await _streams(mine, session, "microphone"))

    await eventually(is_off, 15, "the end of the stream")


def _write_wave(path: Path, samples: bytes) -> None:
    """Write them with a gap after each fifth of a second: browsers take what lasts for noise."""
    beat = 2 * RATE // 5
    samples = b"".join(samples[at : at + beat] + bytes(beat) for at in range(0, len(samples), beat))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples)


async def _listeners(mine: httpx.AsyncClient, session: str) -> list[dict[str, Any]]:
    return await _streams(mine, session, "audio")


async def _streams(mine: httpx.AsyncClient, session: str, channel: str) -> list[dict[str, Any]]:
    found = (await mine.get(f"/sessions/{session}/streams")).json()["items"]
    return [one for one in found if one["channel"] == channel]


async def _is_over(mine: httpx.AsyncClient, session: str) -> bool:
    ours = await _listeners(mine, session)
    return bool(ours) and all(one["closed_at"] for one in ours)
