"""The templates that come with this runtime: YAML files beside this module."""

from importlib.resources import files
from typing import Final

import yaml

from porthole_agent.runtimes.local.packages import Packages
from porthole_agent.runtimes.port import Offer
from porthole_contract.template import SessionTemplate

_FOLDER: Final = files("porthole_agent.runtimes.local") / "templates"


def own_templates() -> tuple[SessionTemplate, ...]:
    """Return the templates, sorted by name."""
    texts = [path.read_text() for path in _FOLDER.iterdir() if path.name.endswith(".yaml")]
    found = [SessionTemplate.from_manifest(yaml.safe_load(text)) for text in texts]
    return tuple(sorted(found, key=lambda template: template.name))


async def offers(packages: Packages) -> tuple[Offer, ...]:
    """Return the templates with whether they can be run here now.

    What would first have to be installed is not on offer, though a session that asks for it
    has it installed where that is allowed: nobody should wait for a browser to be
    downloaded because they clicked on its picture.
    """
    told = []
    for template in own_templates():
        obstacle = await packages.obstacle(template.spec, install=False)
        told.append(
            Offer(template, offered=obstacle is None, reason=obstacle.message if obstacle else "")
        )
    return tuple(told)
