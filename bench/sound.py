"""How late a sound of the desktop is in the browser, beside a recorder in the desktop itself."""

import asyncio
import json
from collections.abc import Sequence
from statistics import median

from playwright.async_api import Page, async_playwright

from bench.browser import CHROMIUM
from bench.figures import Figure
from bench.instance import Instance
from porthole_client import AsyncPorthole

_BURSTS = 12
_GOAL = 200.0
"""Milliseconds that browser, network and the store against an uneven line may add."""

_PLAYER = """
import json, subprocess, sys, threading, time

RATE, BURSTS = 48_000, int(sys.argv[1])
FORM = ["--raw", "--format=s16le", f"--rate={RATE}", "--channels=1", "--latency-msec=20"]
record = subprocess.Popen(
    ["parec", "--device=desktop.monitor", *FORM], stdout=subprocess.PIPE, bufsize=0
)
play = subprocess.Popen(["pacat", *FORM], stdin=subprocess.PIPE, bufsize=0)

def say(what, at):
    print(json.dumps([what, at * 1000]), flush=True)

def listen():
    quiet = RATE
    while data := record.stdout.read(960):
        now, samples = time.time(), memoryview(data[: len(data) // 2 * 2]).cast("h")
        for number, sample in enumerate(samples):
            if abs(sample) < 3000:
                quiet += 1
                continue
            if quiet > RATE // 4:
                say("recorded", now - (len(samples) - number) / RATE)
            quiet = 0

threading.Thread(target=listen, daemon=True).start()
piece = RATE // 100
begun, written = time.monotonic(), 0
for burst in range(BURSTS + 1):
    for part in range(100):
        loud = burst > 0 and part < 5
        if loud and part == 0:
            say("played", time.time())
        play.stdin.write((b"\\x00\\x40" if loud else b"\\0\\0") * piece)
        written += piece
        time.sleep(max(0.0, begun + written / RATE - time.monotonic()))
time.sleep(0.5)
play.terminate()
record.terminate()
"""
"""Plays a burst a second in step with the clock, and tells when, and when it was recorded."""

_EARS = """
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...more) {
  if (this instanceof AudioWorkletNode && to === this.context.destination && !window.heard) {
    const ears = this.context.createAnalyser();
    ears.fftSize = 8192;
    connect.call(this, ears);
    window.heard = [];
    const rate = this.context.sampleRate, samples = new Float32Array(ears.fftSize);
    setInterval(() => {
      ears.getFloatTimeDomainData(samples);
      const now = Date.now();
      const first = samples.findIndex((sample) => Math.abs(sample) > 0.1);
      if (first <= 0) return;
      const at = now - ((samples.length - first) / rate) * 1000;
      if (at - (window.heard.at(-1) ?? 0) > 400) window.heard.push(at);
    }, 20);
  }
  return connect.call(this, to, ...more);
};
"""


async def measure(instance: Instance) -> list[Figure]:
    """Measure from a sample that a program plays to the speaker, in the browser."""
    session = await instance.session(template="desktop", name="bench")
    async with (
        instance.porthole() as porthole,
        async_playwright() as playwright,
    ):
        arguments = [*CHROMIUM["args"], "--autoplay-policy=no-user-gesture-required"]
        browser = await playwright.chromium.launch(**{**CHROMIUM, "args": arguments})
        page = await browser.new_page(viewport={"width": 1000, "height": 700})
        await page.add_init_script(_EARS)
        await page.goto(instance.sign_in)
        await page.goto(f"{instance.url}/#/sessions/{session}")
        await page.get_by_test_id("viewer-canvas").wait_for()
        heard = await _listen(page, porthole, session)
        await browser.close()
    return [
        Figure(
            name="sound, from a program to the browser's speaker",
            value=median(_after(heard["played"], heard["heard"])),
            unit="ms",
            baseline=median(_after(heard["played"], heard["recorded"])),
            against="a recorder in the desktop",
            better="less",
            goal=_GOAL,
            judged="difference",
        )
    ]


async def _listen(page: Page, porthole: AsyncPorthole, session: str) -> dict[str, list[float]]:
    """Return when bursts were played, recorded and heard, in milliseconds of one clock."""
    await page.get_by_test_id("sound").click()
    await page.wait_for_function("() => window.heard !== undefined", timeout=20_000)
    await asyncio.sleep(2)
    command = ["python3", "-c", _PLAYER, str(_BURSTS)]
    ran = await porthole.sessions.exec(session, command, seconds=60)
    assert ran.status == 0, ran.stderr.decode()
    found: dict[str, list[float]] = {"played": [], "recorded": []}
    for line in ran.stdout.decode().splitlines():
        what, at = json.loads(line)
        found[what].append(at)
    found["heard"] = await page.evaluate("() => window.heard")
    return found


def _after(played: Sequence[float], found: Sequence[float]) -> list[float]:
    """Return how long after each burst it was found; what was not is left out."""
    waits = [next((at - begun for at in found if at >= begun), 1e9) for begun in played]
    return [wait for wait in waits if wait < 900]
