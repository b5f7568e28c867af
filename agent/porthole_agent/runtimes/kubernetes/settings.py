"""What the Kubernetes runtime is told; each setting says its unit and what None does."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KubernetesSettings:
    """Where sessions are objects, and how much of the cluster they may use."""

    namespaces: tuple[str, ...] = ("porthole-sessions",)
    """Where Sessions are. Those that the control plane orders are made in the first."""

    system_namespace: str = "porthole-system"
    """Where the agent keeps what is its own: what has ended, and its Lease."""

    max_sessions: int = 1000
    """How many sessions may be running at once."""

    cpu: float | None = None
    """Cores that sessions may request together. None: what the nodes can give."""

    memory: int | None = None
    """Bytes that sessions may request together. None: what the nodes can give."""

    resync_seconds: float = 60.0
    """How often everything is listed anew, whatever the watches say."""
