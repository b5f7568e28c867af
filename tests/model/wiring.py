"""How the model's parts are joined: as the programs are, or with a bug planted on purpose."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Wiring:
    """Each is False in the programs; True is a bug that the model has to find."""

    ack_before_effect: bool = False
    """The agent says that a command has succeeded when it comes."""
    no_epoch_check: bool = False
    """Commands are claimed for a link that has been replaced."""
    no_idempotency_key: bool = False
    """The agent knows neither the commands nor the orders that it has had."""
    no_poll: bool = False
    """Only the doorbell wakes the dispatcher."""
    late_old_order: bool = False
    """Writes at the runtime are not fenced by what was read."""
    orphan_on_delete: bool = False
    """A session counts as ended at once whenever its agent is away."""
    reorder: bool = False
    """Commands of one subject are claimed without regard to their line."""
    failures_are_final: bool = False
    """A failure that comes while the command waits again ends it."""
    failures_are_remembered: bool = False
    """An end that failed is not tried when it comes again: it fails as before."""
    no_count_in_pings: bool = False
    """A ping does not say how far the items before it went."""


RIGHT = Wiring()
BUGS = {field.name: Wiring(**{field.name: True}) for field in fields(Wiring)}
