"""A tone that the desktop plays is heard in the browser, once somebody wants to hear it."""

import math
import struct

import pytest

from e2e.support.console import Console, chromium, eventually
from e2e.support.instance import Instance
from e2e.support.outside import Desktop
from e2e.support.viewers import api

RATE = 48_000
TONE = 440
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


def tone(seconds: int) -> bytes:
    """Return samples of a tone: mono, 16 bits."""
    swing = (math.sin(2 * math.pi * TONE * at / RATE) for at in range(RATE * seconds))
    return b"".join(struct.pack("<h", int(12_000 * one)) for one in swing)


@pytest.mark.timeout(180)
async def test_a_tone_is_heard(instance: Instance) -> None:
    async with chromium("--autoplay-policy=user-gesture-required") as browser:
        me = await Console.open(browser, "sound")
        async with me.shot_if_it_fails(), api(instance.url, instance.admin_token()) as mine:
            await me.page.add_init_script(_EARS)
            await me.sign_in(instance.another_link())
            session = await me.new_session("desktop")
            await me.until_state("open", within=60)
            (Desktop.of(session).root / "home/user/tone").write_bytes(tone(20))
            # Nobody has asked to hear anything: nothing is recorded.
            streams = (await mine.get(f"/sessions/{session}/streams")).json()["items"]
            assert all(one["channel"] != "audio" for one in streams)

            await me.press("sound")
            heard: list[float] = [0.0, -999.0]

            async def is_on() -> bool:
                nonlocal heard
                heard = await me.page.evaluate(_LOUDEST)
                return heard[1] > -999

            await eventually(is_on, 20, "something that plays")
            player = f"pacat --raw --format=s16le --rate={RATE} --channels=1 tone"
            await me.type(f"{player} &")

            async def is_heard() -> bool:
                nonlocal heard
                heard = await me.page.evaluate(_LOUDEST)
                return abs(heard[0] - TONE) < 6 and heard[1] > -40

            await eventually(is_heard, 20, lambda: f"a tone of {TONE} Hz, not {heard}")
            await me.shoot("1-heard")
            await me.press("sound")

            async def is_over() -> bool:
                found = (await mine.get(f"/sessions/{session}/streams")).json()["items"]
                ours = [one for one in found if one["channel"] == "audio"]
                return bool(ours) and all(one["closed_at"] for one in ours)

            await eventually(is_over, 15, "the end of the stream")
            assert me.failures == []
