"""Who is let in: from a request to what it may do, or a refusal. Pure but for its memory.

Each grant is accepted once. Its nonce is remembered until the grant has expired; if that
is ever too much to remember, new grants wait rather than old nonces being forgotten.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from uuid import UUID

from porthole_contract.errors import Refused
from porthole_contract.stream.channels import DESKTOPS, SERVED, Channel, Mode, Wire, check_served
from porthole_contract.stream.grant import Issuer, check_for, verify
from porthole_contract.stream.preface import Request

_SCREENS = frozenset(chain.from_iterable(DESKTOPS.values()))
_ASLEEP = frozenset({Channel.CONTROL, Channel.FILES})


@dataclass(frozen=True, slots=True)
class Admission:
    """What one stream may do, and who said so."""

    stream: UUID
    channel: Channel
    mode: Mode
    issuer: Issuer
    epoch: int
    wire: Wire = Wire.RFB
    password: str | None = None
    """SHA-256 of what a native client has to show besides, lower hex."""
    replaces: UUID | None = None
    """The stream that is ended for this one."""


class Admissions:
    """Decides on requests for one gate.

    Args:
        session: whose gate it is.
        fingerprint: of its certificate.
        issuers: who may sign grants.
        most_nonces: how many used grants can be remembered.
        screens: the channels on which the desktop is seen; none: it does not run.
    """

    def __init__(
        self,
        *,
        session: UUID,
        fingerprint: str,
        issuers: Iterable[Issuer],
        most_nonces: int,
        screens: Iterable[Channel] = (Channel.VNC,),
    ) -> None:
        self._session = session
        self._fingerprint = fingerprint
        self._issuers = {issuer.key_id: issuer for issuer in issuers}
        self._most_nonces = most_nonces
        seen = {*screens}
        self._serves = SERVED.keys() - (_SCREENS - seen) if seen else _ASLEEP
        self._used: dict[tuple[str, str], datetime] = {}

    def decide(self, request: Request, now: datetime) -> Admission:
        """Return what `request` is admitted to; its grant is used up by that.

        Raises:
            Refused: it is not; `grant_used` if the grant was accepted before.
        """
        channel, mode = check_served(
            request.channel, request.protocol, request.mode, request.auth, serves=self._serves
        )
        issuer, claims = verify(request.grant, self._issuers, now)
        check_for(claims, session=self._session, gate=self._fingerprint, channel=channel, mode=mode)
        self._use((issuer.key_id, claims.nonce), claims.expires, now)
        return Admission(
            request.stream,
            channel,
            mode,
            issuer,
            claims.epoch,
            Wire(request.protocol),
            claims.password,
            request.replaces,
        )

    def _use(self, nonce: tuple[str, str], expires: datetime, now: datetime) -> None:
        if nonce in self._used:
            raise Refused("grant_used", "The grant has been used; ask for a new one.")
        if len(self._used) >= self._most_nonces:
            self._used = {key: until for key, until in self._used.items() if until > now}
        if len(self._used) >= self._most_nonces:
            raise Refused("too_many_grants", "The gate was opened too often; try in a while.")
        self._used[nonce] = expires
