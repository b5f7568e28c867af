"""Which cluster is meant: files, a context and a namespace, as kubectl takes them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import yaml
from kubernetes.aio.client import Configuration
from kubernetes.aio.config.config_exception import ConfigException
from kubernetes.aio.config.kube_config import KubeConfigLoader, KubeConfigMerger

from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.open.which import choose


def files(given: Path | None, environment: Mapping[str, str] = os.environ) -> str:
    """Return where the kubeconfig is: one file, or several that are merged.

    Raises:
        Failure: there is none.
    """
    home = Path.home() / ".kube" / "config"
    named = str(given) if given else environment.get("KUBECONFIG") or str(home)
    if not any(Path(one).expanduser().is_file() for one in named.split(os.pathsep) if one):
        raise Failure(
            f"There is no kubeconfig at {named}. Name one with --kubeconfig or KUBECONFIG.",
            Exit.NOT_FOUND,
        )
    return named


class Kubeconfig:
    """A kubeconfig, and what of it is meant.

    Raises:
        Failure: it cannot be read, or has no such context.
    """

    def __init__(self, named: str, *, context: str | None, namespace: str | None) -> None:
        self._named = named
        merged = self._merged().value
        contexts = [node.value for node in merged["contexts"]]
        current = merged.get("current-context")
        self.choice = choose(contexts, current, context=context, namespace=namespace)

    async def configuration(self) -> Configuration:
        """Return how its cluster is spoken to, with credentials of now.

        Raises:
            Failure: it does not say.
        """
        made = Configuration()
        try:
            loader = KubeConfigLoader(  # type: ignore[no-untyped-call]  # the library's
                config_dict=self._merged(),
                config_base_path=None,
                active_context=self.choice.context,
            )
            await loader.load_and_set(made)  # type: ignore[no-untyped-call]  # the library's
        except (ConfigException, OSError, LookupError, TypeError, ValueError) as error:
            raise self._unusable(str(error)) from error
        made.proxy = made.proxy or _proxy(made.host)
        made.client_session_kwargs = {"trust_env": False}  # a netrc is not for clusters
        return made

    def _merged(self) -> Any:
        try:
            found = KubeConfigMerger(self._named).config  # type: ignore[no-untyped-call]  # the library's
        except yaml.YAMLError as error:
            # What it says of the place may quote a line, and a line may hold a token.
            raise self._unusable("it is no YAML") from error
        except (OSError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise self._unusable("it is not shaped like one") from error
        if found is None or not isinstance(found.value, dict):
            raise self._unusable("it is empty")
        return found

    def _unusable(self, why: str) -> Failure:
        return Failure(f"The kubeconfig {self._named} cannot be used: {why.rstrip('.')}.")


def _proxy(host: str) -> str | None:
    """Return the proxy that this machine has for a server, as kubectl takes it."""
    parts = urlsplit(host)
    if proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)
