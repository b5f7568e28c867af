"""Which session is meant, of which cluster (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any, Final

from porthole_client.cli.exits import Exit, Failure
from porthole_contract.errors import Invalid
from porthole_contract.names import GROUP, VERSION, check_name

NAMESPACE: Final = "porthole-sessions"
"""Where sessions are unless the chart was told otherwise; hardly ever in `default`."""
_KINDS: Final = frozenset(
    {"session", "sessions", "sess", f"session.{GROUP}", f"sessions.{GROUP}"}
    | {f"{name}.{VERSION}.{GROUP}" for name in ("session", "sessions")}
)


@dataclass(frozen=True, slots=True)
class Choice:
    """A context of a kubeconfig, and the namespace that is looked into."""

    context: str
    namespace: str

    @property
    def kubectl(self) -> str:
        """How a command of kubectl begins that means the same cluster."""
        return f"kubectl --context {quote(self.context)}"

    @property
    def kubectl_here(self) -> str:
        """The same, and the same namespace."""
        return f"{self.kubectl} -n {quote(self.namespace)}"


def as_kubectl_says(which: str) -> bool:
    """Whether a session is named as kubectl names things: `session/x`."""
    return "/" in which


def session_name(which: str) -> str:
    """Return the name in `x`, `session/x` or `sessions.porthole.dev/x`.

    Raises:
        Failure: it names something else, or nothing that could be there.
    """
    kind, slash, name = which.rpartition("/")
    if slash and kind.lower() not in _KINDS:
        raise Failure(f"{which!r} is no session. Name one as session/NAME.", Exit.USAGE)
    try:
        return check_name(name)
    except Invalid as error:
        raise Failure(f"{name!r} cannot be a session: it {error.sentence}.", Exit.USAGE) from None


def choose(
    contexts: Sequence[Mapping[str, Any]],
    current: str | None,
    *,
    context: str | None,
    namespace: str | None,
) -> Choice:
    """Return the context and namespace that are meant.

    Args:
        contexts: those of the kubeconfig.
        current: the name of its current one.
        context: the name that was given; None takes the current one.
        namespace: that was given; None takes the context's own, else `NAMESPACE`.

    Raises:
        Failure: there is no such context, or none is current.
    """
    known = {str(one["name"]): one.get("context") or {} for one in contexts}
    wanted = context or current
    offer = f" There are: {', '.join(sorted(known))}." if known else ""
    if not wanted:
        raise Failure(
            f"The kubeconfig has no current context. Name one with --context.{offer}", Exit.USAGE
        )
    if wanted not in known:
        raise Failure(f"The kubeconfig has no context {wanted!r}.{offer}", Exit.NOT_FOUND)
    return Choice(wanted, namespace or str(known[wanted].get("namespace") or NAMESPACE))
