"""`porthole template`: what sessions are made from."""

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from porthole_client.cli import complete
from porthole_client.cli.desk import Desk, command
from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.output import Columns, Form
from porthole_client.models import Template
from porthole_contract.template import SessionTemplate

app = typer.Typer(help="What sessions are made from.", no_args_is_help=True)

Name = Annotated[
    str,
    typer.Argument(
        help="Name of the template.", metavar="TEMPLATE", autocompletion=complete.templates
    ),
]

_COLUMNS: Columns[Template] = {
    "name": lambda template: template.name,
    "title": lambda template: template.title,
    "revision": lambda template: template.revision,
    "source": lambda template: template.source,
    "available": lambda template: template.available,
    "why not": lambda template: "" if template.available else template.message,
}


@command(app, "list")
def list_(desk: Desk) -> None:
    """List templates."""
    empty = "There are no templates. Make one with `porthole template create -f FILE`."
    desk.out.list(desk.porthole.templates.list(), _COLUMNS, empty)


@command(app, "show")
def show(desk: Desk, template: Name) -> None:
    """Print a template as the YAML that would make it."""
    found = desk.porthole.templates.get(template)
    if desk.out.form is Form.JSON:
        desk.out.json(found.model_dump(mode="json", by_alias=True))
        return
    manifest = SessionTemplate(name=found.name, spec=found.spec).manifest()
    print(yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True), end="")


@command(app, "create")
def create(
    desk: Desk,
    file: Annotated[
        Path, typer.Option("--file", "-f", help="YAML of a SessionTemplate.", dir_okay=False)
    ],
    replace: Annotated[
        bool, typer.Option("--replace", help="Give one of that name a new revision.")
    ] = False,
) -> None:
    """Make a template of one's own from a YAML file."""
    wanted = SessionTemplate.from_manifest(_read(file))
    spec = wanted.spec.to_dict()
    templates = desk.porthole.templates
    made = templates.replace(wanted.name, spec) if replace else templates.create(wanted.name, spec)
    desk.out.one(
        made,
        {
            "name": made.name,
            "revision": made.revision,
            "available": made.available,
            "why not": made.message,
        },
    )


def _read(file: Path) -> dict[str, Any]:
    """Return the object in a YAML file.

    Raises:
        Failure: there is none.
    """
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}.", Exit.USAGE) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Failure(f"{file} is no YAML: {error}", Exit.USAGE) from None
    if not isinstance(found, dict) or found.get("kind") != "SessionTemplate":
        raise Failure(f"{file} has no object with `kind: SessionTemplate`.", Exit.USAGE)
    return found


@command(app, "delete")
def delete(desk: Desk, template: Name) -> None:
    """Delete a template; sessions made from it go on."""
    desk.porthole.templates.delete(template)
    desk.out.done([template], "Deleted")
