"""What an image is made of: the files `desktop/images/*.yaml`, read."""

import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field

from porthole_client.cli.exits import Exit, Failure

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "desktop" / "images"
TEMPLATES: Final = ROOT / "agent" / "porthole_agent" / "runtimes" / "local" / "templates"
DPKG: Final = FOLDER / "dpkg.conf"

SUITE: Final = "bookworm"
PYTHON: Final = (3, 11)
"""The Python of that suite: the locked packages are taken for it."""

IMAGES: Final = ("porthole", "porthole-gate", "desktop-vnc", "desktop-browser", "desktop-rdp")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class User(_Part):
    """Whom an image runs as; its group has the same name and number."""

    name: str
    uid: Annotated[int, Field(ge=1000, lt=60000)]
    home: str


class Recipe(_Part):
    """One image, or what several have in common.

    `below`: the recipe whose Debian packages it stands on. `templates`: the built-in
    templates whose packages it has; `packages`: further ones. `extras` and `ours`: the parts
    of our distribution, and the packages of its wheel, that it has in /opt/porthole. `empty`:
    files that have to be there, and have nothing in them.
    """

    name: str
    below: str | None = None
    templates: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    user: User | None = None
    empty: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    ours: tuple[str, ...] = ()
    supervisor: bool = False
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()

    @property
    def own_packages(self) -> tuple[str, ...]:
        """The Debian packages that this recipe names, those of its templates included."""
        named = {name for template in self.templates for name in _template_packages(template)}
        return tuple(sorted({*self.packages, *named}))

    @property
    def search_path(self) -> str:
        """The PATH of its programs."""
        ours = ("/opt/porthole/bin",) if self.ours else ()
        return ":".join((*ours, "/usr/local/bin", "/usr/bin", "/bin", "/usr/games"))


@cache
def load(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        Failure: there is none, or it is wrong.
    """
    path = FOLDER / f"{name}.yaml"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Recipe.model_validate({"name": name, **content})
    except FileNotFoundError:
        known = ", ".join(IMAGES)
        raise Failure(f"There is no image {name!r}; there are {known}.", Exit.USAGE) from None
    except ValueError as error:
        raise Failure(f"{path} is no recipe: {error}") from error


def lineage(recipe: Recipe) -> tuple[Recipe, ...]:
    """Return what a recipe's Debian packages stand on, the lowest first, itself last."""
    if recipe.below is None:
        return (recipe,)
    return (*lineage(load(recipe.below)), recipe)


def debian_lineage(recipe: Recipe) -> tuple[Recipe, ...]:
    """Return those of its lineage that have packages of their own: each is a layer."""
    return tuple(one for one in lineage(recipe) if one.own_packages)


@dataclass(frozen=True, slots=True)
class Machine:
    """What an image is for: the words of Debian, of Python's wheels and of images for it."""

    debian: str
    wheels: str
    image: str


def machine() -> Machine:
    """Return this machine's kind, which is the images' too.

    Raises:
        Failure: none that we make images for.
    """
    kinds = {
        "x86_64": Machine("amd64", "x86_64", "amd64"),
        "aarch64": Machine("arm64", "aarch64", "arm64"),
    }
    kind = platform.machine()
    if kind not in kinds:
        raise Failure(f"Images are made for {', '.join(kinds)}, and this machine is {kind}.")
    return kinds[kind]


def _template_packages(template: str) -> list[str]:
    manifest = yaml.safe_load((TEMPLATES / f"{template}.yaml").read_text(encoding="utf-8"))
    packages: list[str] = manifest["spec"]["packages"]
    return packages
