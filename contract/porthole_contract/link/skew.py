"""What is left out towards a peer that speaks an older minor: it would not know it.

Fields that are added need no place here, for whoever does not know one ignores it. What a
reader of that minor would refuse does, under the version that brought it.
"""

from typing import Any, Final

from porthole_contract.conditions import ConditionType
from porthole_contract.link.frames import AgentData
from porthole_contract.link.reports import InventoryPart, SessionObserved
from porthole_contract.link.version import Version

CONDITIONS_SINCE: Final = {
    ConditionType.CHILDREN_READY: Version(1, 1),
    ConditionType.EXPOSED: Version(1, 5),
}
"""Types of conditions that 1.0 did not have."""


def as_said_at(frame: Any, version: Version) -> Any:
    """Return `frame` without what came after `version`, the one that both sides speak."""
    later = {kind for kind, since in CONDITIONS_SINCE.items() if since > version}
    if not later or not isinstance(frame, AgentData):
        return frame
    return frame.model_copy(update={"items": tuple(_item(item, later) for item in frame.items)})


def _item(item: Any, later: set[ConditionType]) -> Any:
    match item:
        case SessionObserved():
            return _observed(item, later)
        case InventoryPart():
            sessions = tuple(_observed(one, later) for one in item.sessions)
            return item.model_copy(update={"sessions": sessions})
        case _:
            return item


def _observed(item: SessionObserved, later: set[ConditionType]) -> SessionObserved:
    known = tuple(one for one in item.status.conditions if one.type not in later)
    status = item.status.model_copy(update={"conditions": known})
    return item.model_copy(update={"status": status})
