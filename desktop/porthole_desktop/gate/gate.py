"""One gate: its streams, its control channels, its desktop; here they meet.

The network comes in by `doorway`; what is decided about a request stands in `admission`.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from porthole_contract.errors import Refused
from porthole_contract.stream import control
from porthole_contract.stream.channels import BESIDE, SERVED, Channel, Mode
from porthole_contract.stream.closing import CloseReason
from porthole_contract.stream.preface import Request
from porthole_desktop.gate.admission import Admission, Admissions
from porthole_desktop.gate.config import Config
from porthole_desktop.gate.controller import Controller
from porthole_desktop.gate.drives import Around as AroundDrives
from porthole_desktop.gate.drives import DriveStream
from porthole_desktop.gate.people import Idleness, Pace
from porthole_desktop.gate.relay import Around, Stream
from porthole_desktop.gate.relay_rdp import Door, RdpStream
from porthole_desktop.gate.relay_rfb import RfbStream
from porthole_desktop.gate.side import Side
from porthole_desktop.gate.spans import Spans
from porthole_desktop.gate.supervisor import Supervisor
from porthole_desktop.gate.talks import TALKS, Rules, TalkStream
from porthole_desktop.gate.usage import Meter

AnyStream = Stream | TalkStream | DriveStream
GATHER: Final = 0.05
"""Seconds in which changes are gathered before observers are told."""


class Gate:
    """What all streams of one gate have in common.

    Args:
        config: what it was told.
        say: takes a line for the log.
    """

    def __init__(self, config: Config, say: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        self.config = config
        self.say = say
        self.idleness = Idleness(loop.time, self.changed)
        self._meter = Meter(loop.time)
        self.supervisor = Supervisor(
            config.supervisor,
            config.desktop_uid,
            changed=self.changed,
            asked=self._ending,
            uses=self._meter.told,
            say=say,
        )
        self.admissions = Admissions(
            session=config.session,
            fingerprint=config.fingerprint,
            issuers=config.issuers,
            most_nonces=config.limits.nonces,
            screens=config.screens,
        )
        self._spans = Spans(config.traceparent)
        self._streams: dict[UUID, AnyStream] = {}
        self._controllers: set[Controller] = set()
        self._commander: Controller | None = None
        self._epoch = -1
        self._telling: asyncio.TimerHandle | None = None
        self._door = Door.of(config, self.supervisor)
        self._around_drives = AroundDrives(
            supervisor=self.supervisor,
            limits=config.limits,
            ways=config.ways,
            pace=Pace(config.limits.input_events_per_second, loop.time),
            used=self.idleness.used,
            closed=self._closed,
        )
        self._around = Around(
            desktop_uid=config.desktop_uid,
            limits=config.limits,
            ways=config.ways,
            idleness=self.idleness,
            say=say,
            changed=self.changed,
            closed=self._closed,
            replaced=self._replaced,
        )

    def admit(self, request: Request) -> Admission:
        """Decide on a request; if it is admitted, `open` has to follow.

        Raises:
            Refused: it is not.
        """
        admission = self.admissions.decide(request, datetime.now(UTC))
        if admission.channel is Channel.CONTROL:
            if len(self._controllers) >= self.config.limits.controllers:
                raise Refused("too_many_controllers", "The gate has too many control channels.")
            if admission.mode is Mode.COMMAND and admission.epoch < self._epoch:
                raise Refused("superseded", "A commander with a newer epoch has taken over.")
        else:
            if admission.stream in self._streams:
                raise Refused("stream_exists", "A stream of that name is open already.")
            replaced = self._replaced_by(admission)
            self._check_room(admission.channel, replaced)
        return admission

    def _replaced_by(self, admission: Admission) -> AnyStream | None:
        """Return the stream that is ended for this one; None: there is none (any more).

        Raises:
            Refused: somebody else let it in, and may have it ended.
        """
        if admission.replaces is None:
            return None
        stream = self._streams.get(admission.replaces)
        if stream is not None and stream.issuer != admission.issuer.key_id:
            raise Refused("grant_not_allowed", "Whoever let this viewer in did not let that one.")
        return stream

    def _check_room(self, channel: Channel, leaving: AnyStream | None) -> None:
        limits = self.config.limits
        if channel is Channel.EXEC and not self.config.runs_programs:
            raise Refused(
                "programs_forbidden",
                "This desktop's template keeps files or the clipboard in or out, and so runs"
                " nobody's programs.",
            )
        most, what = {
            Channel.EXEC: (limits.programs, "programs"),
            Channel.FILES: (limits.files, "streams of files"),
            Channel.DRIVE: (limits.drives, "streams of programs that drive it"),
            Channel.AUDIO: (limits.viewers, "listeners"),
            Channel.MICROPHONE: (limits.viewers, "people who speak"),
        }.get(channel, (limits.viewers, "viewers"))
        same = {channel} if channel in BESIDE else set(Channel) - BESIDE
        there = (stream for stream in self._streams.values() if stream is not leaving)
        if sum(1 for stream in there if stream.channel in same) >= most:
            code = "too_many_viewers" if what == "viewers" else f"too_many_{channel}"
            raise Refused(code, f"The gate has as many {what} as it may have.")

    def open(self, side: Side, admission: Admission, rest: bytes) -> None:
        """Hand a side to the channel that it was admitted to."""
        if admission.channel is Channel.CONTROL:
            controller = Controller(side, admission, self)
            self._controllers.add(controller)
            if admission.mode is Mode.COMMAND:
                if self._commander is not None:
                    self._commander.close("A newer commander has taken over.")
                self._commander = controller
                self._epoch = admission.epoch
            controller.begin(rest)
            self._tell_spans()
            return
        replaced = self._replaced_by(admission)
        if replaced is not None:
            replaced.close(CloseReason.REPLACED, "Its viewer has connected anew.")
        stream = self._stream_of(side, admission)
        self._streams[stream.id] = stream
        self.say(f"Stream {stream.id} is open in mode {stream.mode}.")
        self.changed()
        stream.begin(rest, replaced)

    def _stream_of(self, side: Side, admission: Admission) -> AnyStream:
        since, around = datetime.now(UTC), self._around
        if admission.channel is Channel.DRIVE:
            return DriveStream(side, admission, since, self._around_drives)
        if admission.channel in TALKS:
            files = self.config.files
            return TalkStream(
                side,
                admission,
                since,
                rules=Rules(upload=files.upload, download=files.download),
                limits=self.config.limits,
                supervisor=self.supervisor,
                used=self.idleness.used,
                closed=self._closed,
            )
        if admission.channel is Channel.RDP:
            return RdpStream(side, admission, since, around, self._door)
        return RfbStream(side, admission, since, around, self.config.rfb)

    def leave(self, controller: Controller) -> None:
        """A control channel is over."""
        self._controllers.discard(controller)
        if self._commander is controller:
            self._commander = None

    def state(self) -> control.State:
        """Return what observers hear."""
        return control.State(
            session=self.config.session,
            drawn=self.supervisor.drawn,
            stopping=self.supervisor.stopping,
            idle_seconds=round(self.idleness.seconds(), 3),
            viewers=tuple(
                stream.describe() for stream in self._streams.values() if isinstance(stream, Stream)
            ),
            usage=self._meter.now(),
        )

    def changed(self) -> None:
        """Tell all control channels, soon."""
        if self.supervisor.heard:
            self._spans.supervised()
        if self.supervisor.drawn:
            self._spans.drawn()
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(GATHER, self._tell)

    def set_mode(self, stream: UUID, mode: str, allowed: Admission) -> None:
        """Change what a viewer may do, on the word of a commander.

        Raises:
            Refused: there is no such stream or mode, or the commander may not grant it.
        """
        if mode not in SERVED[self._stream(stream).channel]:
            raise Refused("mode_not_served", "A stream of this channel has no such mode.")
        if mode not in allowed.issuer.modes:
            raise Refused("grant_not_allowed", "Whoever let this commander in may not grant that.")
        self._stream(stream).set_mode(Mode(mode))
        self.changed()

    def kick(self, stream: UUID, reason: CloseReason, message: str) -> None:
        """Close a stream.

        Raises:
            Refused: there is none of that name.
        """
        self._stream(stream).close(reason, message or "The stream was closed by order.")

    def close(self, reason: CloseReason, message: str) -> None:
        """Close everything, and say why."""
        for stream in list(self._streams.values()):
            stream.close(reason, message)
        self._tell()
        for controller in list(self._controllers):
            controller.close(message)

    def _ending(self) -> None:
        """Tell viewers that the desktop is stopped on purpose, before it closes their streams."""
        for stream in list(self._streams.values()):
            stream.close(CloseReason.SESSION_ENDED, "The desktop is being stopped.")

    def _stream(self, name: UUID) -> AnyStream:
        try:
            return self._streams[name]
        except KeyError:
            raise Refused("unknown_stream", "No stream of that name is open.") from None

    def _replaced(self, stream: Stream) -> bool:
        """Whether a newer viewer is there, at a desktop that has room for one."""
        if set(self.config.screens) != {Channel.RDP}:
            return False
        viewers = [one for one in self._streams.values() if one.channel is Channel.RDP]
        return bool(viewers) and viewers[-1] is not stream

    def _closed(self, stream: AnyStream, reason: CloseReason, message: str) -> None:
        self._streams.pop(stream.id, None)
        self.say(f"Stream {stream.id} is closed ({reason}): {message}")
        news = control.Closed(viewer=stream.describe(), reason=reason, message=message[:500])
        for controller in list(self._controllers):
            controller.tell(news)
        self.changed()

    def _tell(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        if self._controllers:
            state = self.state()
            for controller in list(self._controllers):
                controller.tell(state)
            self._tell_spans()

    def _tell_spans(self) -> None:
        """Hand spans to one who observes; nobody collects them twice."""
        observer = next((one for one in self._controllers if one.observes), None)
        if observer is not None:
            for span in self._spans.take():
                observer.tell(span)
