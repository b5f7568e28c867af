"""RDP beside VNC in the same browser, beside FreeRDP at the desktop, and what a session costs."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median
from uuid import UUID

from bench.figures import Figure, at_percentiles
from bench.instance import Instance
from bench.onlookers import Chromium, InFreeRdp, Onlooker
from bench.screens import across, first_lines, moving
from porthole_agent.runtimes.local import usage
from porthole_agent.runtimes.port import Use

_KEYS = 100
_ROUNDS = 2
_SECONDS = 5.0
_REST = 2.0
_WITHIN = 235.0
_MIB = 1024.0**2
_VNC, _RDP, _DUAL, _DIRECT = "VNC", "RDP", "both", "FreeRDP"
_TEMPLATES = {_VNC: "desktop", _RDP: "rdp", _DIRECT: "rdp", _DUAL: "dual"}


@dataclass(frozen=True)
class Cost:
    """What a session with one viewer takes: a share of a core, bytes, and frames for it."""

    processor: float
    memory: float
    frames: float


async def measure(instance: Instance) -> list[Figure]:
    """Measure all of it in turns, each kind of desktop in a session of its own."""
    async with asyncio.timeout(_WITHIN), AsyncExitStack() as stack:
        chromium = await stack.enter_async_context(Chromium.of(instance))
        sessions = {
            name: await instance.session(template=template, name=f"bench-{name.lower()}")
            for name, template in _TEMPLATES.items()
        }
        looking: dict[str, Onlooker] = {}
        for name, over in ((_VNC, ""), (_RDP, ""), (_DUAL, "rdp")):
            shown = chromium.showing(sessions[name], over)
            looking[name] = page = await stack.enter_async_context(shown)
            size = await page.size()
        direct = InFreeRdp.at(instance, sessions[_DIRECT], size)
        looking[_DIRECT] = await stack.enter_async_context(direct)
        keys = await _keys(sessions, looking)
        idle, busy = await _costs(sessions, looking)
    print(
        "  "
        + "; ".join(
            f"{name}: {busy[name].frames:.1f} frames/s, {idle[name].processor * 100:.2f} % and"
            f" {busy[name].processor * 100:.1f} % of a core, {busy[name].memory / _MIB:.0f} MiB"
            for name in looking
        )
    )
    return [*_latency(keys), *_frames(busy), *_cost("at rest", idle), *_cost("that moves", busy)]


async def _keys(sessions: dict[str, str], looking: dict[str, Onlooker]) -> dict[str, list[float]]:
    keys: dict[str, list[float]] = {name: [] for name in (_VNC, _RDP, _DIRECT)}
    boxes = {name: await first_lines(sessions[name]) for name in keys}
    for _ in range(_ROUNDS):
        for name, box in boxes.items():
            keys[name] += await looking[name].keys(box, _KEYS // _ROUNDS)
    return keys


async def _costs(
    sessions: dict[str, str], looking: dict[str, Onlooker]
) -> tuple[dict[str, Cost], dict[str, Cost]]:
    """Return what each costs at rest, and while a window moves."""
    idle, busy = {}, {}
    for name, onlooker in looking.items():
        session = sessions[name]
        await asyncio.sleep(_REST)
        idle[name] = await cost(session, onlooker)
        async with moving(session):
            await asyncio.sleep(_REST / 2)
            busy[name] = await cost(session, onlooker)
    return idle, busy


async def cost(session: str, onlooker: Onlooker) -> Cost:
    """Return what a session takes while somebody looks at it."""
    band = await across(session)
    before, begun = _use(session), asyncio.get_running_loop().time()
    frames = await onlooker.frames(band, _SECONDS)
    after, took = _use(session), asyncio.get_running_loop().time() - begun
    share = (after.cpu_seconds - before.cpu_seconds) / took
    return Cost(share, after.memory, frames)


def _use(session: str) -> Use:
    found = usage.look(UUID(session), 0)
    if found is None:
        raise RuntimeError(f"The session {session} does not run any more.")
    return found


def _latency(keys: dict[str, list[float]]) -> list[Figure]:
    return [
        figure
        for name, beside, against in (
            (_VNC, "VNC", "VNC in Chromium"),
            (_DIRECT, "FreeRDP", "FreeRDP at the desktop's socket"),
        )
        for figure in at_percentiles(
            f"key to pixel, RDP in Chromium beside {beside}",
            keys[_RDP],
            keys[name],
            against=against,
            note=f"{len(keys[name])} keys each; medians {median(keys[_RDP]) * 1000:.1f} and"
            f" {median(keys[name]) * 1000:.1f} ms",
        )
    ]


def _frames(busy: dict[str, Cost]) -> list[Figure]:
    return [
        Figure(
            name=f"frames of a moving window, {what}",
            value=busy[name].frames,
            unit="frames/s",
            baseline=busy[other].frames,
            against=against,
            better="more",
        )
        for what, name, other, against in (
            ("RDP in Chromium beside VNC", _RDP, _VNC, "VNC in Chromium"),
            ("RDP in Chromium beside FreeRDP", _RDP, _DIRECT, "FreeRDP at the desktop's socket"),
            ("both protocols, by RDP", _DUAL, _VNC, "VNC in Chromium"),
        )
    ]


def _cost(when: str, costs: dict[str, Cost]) -> list[Figure]:
    """Return the figures of desktops that are looked at in Chromium."""
    figures = []
    vnc = costs[_VNC]
    for name in (_RDP, _DUAL):
        seen = costs[name]
        note = f"{seen.frames:.0f} frames/s, {vnc.frames:.0f} over VNC"
        figures += [
            Figure(
                name=f"core for a session with a picture {when}, {name}",
                value=seen.processor * 1000,
                unit="ms/s",
                baseline=max(vnc.processor * 1000, 0.01),
                against="VNC",
                better="less",
                note=note,
            ),
            Figure(
                name=f"memory of a session with a picture {when}, {name}",
                value=seen.memory / _MIB,
                unit="MiB",
                baseline=vnc.memory / _MIB,
                against="VNC",
                better="less",
                note=note,
            ),
        ]
    return figures
