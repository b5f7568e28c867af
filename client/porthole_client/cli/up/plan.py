"""The parts of one instance: what each is started with, in which order.

Everything that a part needs to know stands in its environment or in files of the home;
nothing secret stands in either its arguments or its environment.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from porthole_client.home import Home

POSTGRES = "postgres"
CONTROL_PLANE = "control-plane"
AGENT = "agent"


@dataclass(frozen=True)
class Part:
    """One program of the instance.

    `patience` is how many seconds it gets between being asked to end and being ended. A
    part that did not end well may have left something: `afterwards` ends that.
    """

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    patience: float
    afterwards: tuple[str, ...] = ()


def part_lock(home: Home, name: str) -> Path:
    """Return the lock that a part holds, and whatever it started, as long as any of it lives."""
    return home.run / f"{name}.lock"


def part_log(home: Home, name: str) -> Path:
    """Return the log of a part."""
    return home.log / f"{name}.log"


def postgres(home: Home) -> Part:
    """Return the embedded database."""
    command = (sys.executable, "-m", "porthole_control.db.embedded", "--home", str(home.path))
    return Part(POSTGRES, command, {}, 30)


def control_plane(home: Home, port: int, listen: str | None) -> Part:
    """Return the API, the console and the queue, on 127.0.0.1 and, with TLS, on `listen`."""
    environment = {"PORTHOLE_HOME": str(home.path), "PORTHOLE_PORT": str(port)}
    if listen is not None:
        environment["PORTHOLE_LISTEN"] = listen
    return Part(CONTROL_PLANE, (sys.executable, "-m", "porthole_control"), environment, 20)


def agent(home: Home, url: str | None, run: str) -> Part:
    """Return the agent of this machine; it ends its desktops when it is asked to end.

    Args:
        home: where it keeps everything.
        url: where it reaches the control plane; None is where it has joined.
        run: this life of `up`. An agent that was started again within it adopts the desktops
            that run; one of a new life ends them first and starts their sessions again.
    """
    environment = {
        "PORTHOLE_HOME": str(home.path),
        "PORTHOLE_AGENT_RUN_ID": run,
        "PORTHOLE_AGENT_END_DESKTOPS": "true",
        # Templates are made by administrators, who may install packages here anyway.
        "PORTHOLE_AGENT_INSTALL_PACKAGES": "true",
    }
    if url is not None:
        environment["PORTHOLE_AGENT_URL"] = url
    program = (sys.executable, "-m", "porthole_agent")
    return Part(AGENT, program, environment, 45, afterwards=(*program, "end"))
