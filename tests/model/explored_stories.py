"""What is explored: by every run of the tests, by a deeper one, and to find each planted bug."""

from tests.model.world import FAULTS, Story

_CREATE, _CHANGE, _DELETE = ("create", 1), ("change", 1), ("delete", 1)
_LEASE = frozenset({"lease_moved"})
_WHOLE_LIFE = (_CREATE, _CHANGE, _DELETE)

USUAL = (
    Story("made and ended, two control planes, one fault", (_CREATE, _DELETE)),
    Story("a whole life, one fault", _WHOLE_LIFE, replicas=1),
    Story("made, two faults", (_CREATE,), most=2, replicas=1),
    Story("two sessions, one fault", (_CREATE, ("create", 2)), replicas=1),
    Story("a second process", (_CREATE,), _LEASE, replicas=1, rivals=True, swift=True),
)
"""Explored to their ends, in seconds."""

DEEPER = (
    *USUAL,
    Story("a whole life, two control planes, one fault", _WHOLE_LIFE),
    Story("made, three faults", (_CREATE,), most=3, replicas=1),
    Story("made, two control planes, two faults", (_CREATE,), most=2),
    Story("made and ended, two faults", (_CREATE, _DELETE), most=2, replicas=1),
    Story("two sessions, one ends", (_CREATE, ("create", 2), _DELETE), replicas=1),
    Story(
        "a second process, and the end",
        (_CREATE, _DELETE),
        _LEASE,
        replicas=1,
        rivals=True,
        swift=True,
    ),
    Story(
        "a second process, and another fault",
        (_CREATE,),
        most=2,
        replicas=1,
        rivals=True,
        swift=True,
    ),
    Story("a whole life, two control planes, two faults", _WHOLE_LIFE, most=2),
)
"""Minutes; whatever has no end within them is explored as far as it goes."""

FINDING = {
    "ack_before_effect": Story("planted", (_CREATE,), frozenset({"agent_killed"}), replicas=1),
    "no_epoch_check": Story("planted", (_CREATE, _CHANGE)),
    "no_idempotency_key": Story("planted", (_CREATE,), replicas=1),
    "no_poll": Story("planted", (_CREATE, _CHANGE), frozenset({"bell_lost"}), replicas=1),
    "late_old_order": Story(
        "planted", (_CREATE, _CHANGE), _LEASE, replicas=1, rivals=True, swift=True
    ),
    "orphan_on_delete": Story("planted", (_CREATE, _DELETE), replicas=1),
    "reorder": Story("planted", (_CREATE, _CHANGE), replicas=1),
    "failures_are_final": Story(
        "planted",
        (_CREATE, _DELETE),
        frozenset({"refused", "cut", "deal_unanswered"}),
        most=2,
        replicas=1,
    ),
    "failures_are_remembered": Story(
        "planted", (_CREATE, _DELETE), frozenset({"refused"}), replicas=1
    ),
    "no_count_in_pings": Story("planted", (_CREATE,), frozenset({"frame_lost_down"}), replicas=1),
}
"""Which story shows which planted bug."""

SEARCHED = 8000
"""States within which a planted bug is found, or goes round and round."""

assert all(story.faults <= FAULTS for story in (*DEEPER, *FINDING.values()))
