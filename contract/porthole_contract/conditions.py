"""Conditions, after Kubernetes' conventions: positive, with a reason and a sentence."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from porthole_contract.model import Code, Message, Moment, Sentence


class ConditionType(StrEnum):
    """What a condition is about."""

    READY = "Ready"  # somebody can look at it now
    SCHEDULED = "Scheduled"  # an agent has taken it
    HOME_READY = "HomeReady"  # its home is held by it and mounted
    GATE_READY = "GateReady"  # its gate lets viewers in
    REACHABLE = "Reachable"  # its agent is linked
    FOREIGN = "Foreign"  # its owner is not one that its agent may report for
    CHILDREN_READY = "ChildrenReady"  # the objects that carry its name are its own
    EXPOSED = "Exposed"  # RDP programs reach it on its port, where it runs


class Reason(StrEnum):
    """Why a session is as it is. Each is documented by the line beside it."""

    ACCEPTED = "Accepted"  # the API took it, no agent has it yet
    NO_AGENT = "NoAgent"  # no agent is enrolled that could run it
    AGENT_UNREACHABLE = "AgentUnreachable"  # its agent is not linked; it waits in the queue
    AGENT_DRAINING = "AgentDraining"  # its agent takes no new sessions
    NO_CAPACITY = "NoCapacity"  # the agent has no room: sessions, CPU or memory
    TEMPLATE_UNKNOWN = "TemplateUnknown"  # nobody offers that template
    SPEC_INVALID = "SpecInvalid"  # its spec is not one that can be run; the message says why
    TEMPLATE_NOT_OFFERED = "TemplateNotOffered"  # this agent cannot run it, the message says why
    INSTALLING_PACKAGES = "InstallingPackages"  # the template's packages are being installed
    HOME_IN_USE = "HomeInUse"  # another session holds the home
    HOME_FOREIGN = "HomeForeign"  # the home belongs to somebody else
    HOME_UNREACHABLE = "HomeUnreachable"  # the home is where we cannot go
    FOREIGN_OBJECT = "ForeignObject"  # an object of its name is there that it did not make
    STILL_ENDING = "StillEnding"  # what ran before has not ended yet
    UNSCHEDULABLE = "Unschedulable"  # no node of the cluster will take it
    PULLING_IMAGE = "PullingImage"  # its image is on its way to the node
    IMAGE_UNAVAILABLE = "ImageUnavailable"  # its image cannot be pulled
    VOLUME_UNAVAILABLE = "VolumeUnavailable"  # a volume of it cannot be made or mounted
    POD_REFUSED = "PodRefused"  # the cluster does not accept its pod
    NODE_LOST = "NodeLost"  # the node that it ran on does not answer
    EVICTED = "Evicted"  # the cluster took it off its node
    LIMIT_EXCEEDED = "LimitExceeded"  # it asks for more than the template allows
    STARTING = "Starting"  # its processes have begun, the screen is not painted yet
    DRAWN = "Drawn"  # its screen has been painted
    BACK_OFF = "BackOff"  # it ended by itself and is begun again in a while
    DESKTOP_LOST = "DesktopLost"  # its processes are gone
    WINDOWS_LOST = "WindowsLost"  # it was started again on its home, without its windows
    START_FAILED = "StartFailed"  # it was tried and could not be begun
    START_TIMED_OUT = "StartTimedOut"  # it was begun and never painted
    CRASH_LOOP = "CrashLoop"  # it ended by itself too often
    LISTENING = "Listening"  # its port is listened on
    PORT_UNAVAILABLE = "PortUnavailable"  # its port cannot be listened on, the message says why
    REQUESTED = "Requested"  # somebody asked for it
    IDLE = "Idle"  # nobody used it for as long as its spec allows
    LIFETIME_OVER = "LifetimeOver"  # it lived as long as its spec allows
    DELETED_IN_CLUSTER = "DeletedInCluster"  # it was ended there, not by us
    AGENT_REMOVED = "AgentRemoved"  # its agent was revoked or removed
    START_DEADLINE_PASSED = "StartDeadlinePassed"  # its caller did not want to wait longer


class Condition(Message):
    """Something that holds of an object, or does not (metav1.Condition)."""

    type: ConditionType
    """What it is about: `Ready` tells whether somebody can look at it now."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Code
    """Why, as one word for programs."""
    message: Sentence = ""
    """Why, as a sentence for people."""
    last_transition_time: Moment
    """When its status last became another."""
    observed_generation: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """The `metadata.generation` of the spec that it is about."""
