"""The version of the link, and its diary.

Two peers understand each other if their majors are equal; the smaller minor of the two is
what they speak. Within a major, messages and fields are only ever added.

Diary:
    1.0  the first: greeting, Data, Ack, Ping, Pong, Goodbye; sessions, homes, streams.
    1.1  conditions of the type ChildrenReady; towards 1.0 they are left out (`skew`).
    1.2  a Ping says how far the items before it went; who does not say it is not asked.
    1.3  orders and sessions carry a traceparent; who does not know one ignores it.
    1.4  an agent tells what its sessions use; who does not know that ignores it.
    1.5  an order may name a port that RDP programs come in on, to agents which say that they
         listen, and tell who came; the condition Exposed, left out towards 1.4 (`skew`).
    1.6  an agent tells how old it is what it tells of uses; who does not know takes it as new.
    1.7  a stream that is asked for may replace one; who does not know lets that end by itself.
         How much is in a home is left out where nobody can say; who does not know takes it as 0.
"""

import re
from dataclasses import dataclass

from porthole_contract.errors import TooOld

_FORM = re.compile(r"(0|[1-9][0-9]{0,4})\.(0|[1-9][0-9]{0,4})")


@dataclass(frozen=True, order=True)
class Version:
    """A version `major.minor` of the link's protocol."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> "Version":
        """Read `major.minor`.

        Raises:
            TooOld: it is not a version that this program can read.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            raise TooOld(
                f"{text[:40]!r} is not a version of the link; this program speaks {CURRENT}."
            )
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


CURRENT = Version(1, 7)


def agree(theirs: str) -> Version:
    """Return the version that both sides speak.

    Raises:
        TooOld: the majors differ; the sentence says which side is to be upgraded.
    """
    peer = Version.parse(theirs)
    if peer.major != CURRENT.major:
        older = "the peer" if peer < CURRENT else "this program"
        raise TooOld(
            f"The peer speaks version {peer} of the link and this program {CURRENT};"
            f" {older} must be upgraded."
        )
    return min(peer, CURRENT)
