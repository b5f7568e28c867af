"""The same images by `docker build`: a Dockerfile made from the recipes (pure)."""

import json
from collections.abc import Iterable, Iterator

from porthole_images.recipe import IMAGES, Recipe, load
from porthole_images.trees import KEYS

_HEAD = """\
# Made by `python -m porthole_images dockerfile` from the recipes beside it.
#
# For whoever has an engine and a mirror of images:
#
#     python -m porthole_images stage dist/images
#     docker build --target desktop-vnc -t REGISTRY/desktop-vnc:TAG dist/images
#
# Debian's packages are installed here; Python's and our own were staged, from the locks.
ARG BASE=debian:bookworm-slim
"""

_BARE = "find / -xdev -type f -perm /6000 -exec chmod a-s {} +"


def text(names: Iterable[str] = IMAGES) -> str:
    """Return the Dockerfile: a stage for what images share, and one for each image.

    Args:
        names: the images that are wanted. Docker's older builder goes through every stage above
            the one that it is asked for.
    """
    wanted = tuple(names)
    needed = {below for name in wanted for below in _stands_on(load(name))}
    shared = dict.fromkeys(
        below for name in IMAGES for below in (load(name).below,) if below is not None
    )
    stages = [_debian(load(name)) for name in shared if name in needed]
    return "\n".join((_HEAD, *stages, *(_image(load(name)) for name in wanted)))


def _stands_on(recipe: Recipe) -> Iterator[str]:
    """Yield the names of what is shared and below a recipe, itself if it is."""
    if _is_shared(recipe):
        yield recipe.name
    if recipe.below is not None:
        yield recipe.below
        yield from _stands_on(load(recipe.below))


def _debian(recipe: Recipe) -> str:
    parent = "${BASE}" if recipe.below is None else f"{recipe.below}-debian"
    return f"FROM {parent} AS {recipe.name}-debian\n{_install(recipe)}"


def _install(recipe: Recipe) -> str:
    if not recipe.own_packages:
        return ""
    settings = "COPY dpkg.conf /etc/dpkg/dpkg.cfg.d/porthole\n"
    packages = "".join(f"        {name} \\\n" for name in recipe.own_packages)
    return (
        f"{settings if recipe.below is None else ''}"
        "RUN apt-get update \\\n"
        "    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \\\n"
        f"{packages}"
        "    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* \\\n"
        f"    && rm -f {' '.join(f'/{path}' for path in KEYS)} \\\n"
        f"    && {_BARE}\n"
    )


def _image(recipe: Recipe) -> str:
    user = recipe.user
    assert user is not None, "an image is run as somebody"
    lines = [
        f"FROM {_parent(recipe)} AS {recipe.name}",
        *([_install(recipe).rstrip()] if not _is_shared(recipe) and recipe.own_packages else []),
        f"COPY {recipe.name}/ /",
        *([f"RUN chown {user.uid}:{user.uid} {user.home}"] if user.home != "/" else []),
        f"ENV PATH={recipe.search_path} LANG=C.UTF-8 HOME={user.home}",
        f"WORKDIR {user.home}",
        f"USER {user.uid}:{user.uid}",
        *([f"ENTRYPOINT {json.dumps(list(recipe.entrypoint))}"] if recipe.entrypoint else []),
        *([f"CMD {json.dumps(list(recipe.command))}"] if recipe.command else []),
    ]
    return "\n".join(lines) + "\n"


def _parent(recipe: Recipe) -> str:
    return f"{recipe.name if _is_shared(recipe) else recipe.below}-debian"


def _is_shared(recipe: Recipe) -> bool:
    """Whether another image stands on this one's packages."""
    return any(load(name).below == recipe.name for name in IMAGES)
