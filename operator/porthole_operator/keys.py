"""`python -m porthole_operator.keys`: makes an installation's keys, and keeps those it has.

A Job of the chart, before anything else of it is started. What is there is never changed: a
Secret that lacks an entry is given it. Only what follows from others is written anew, the list
of who may sign grants (from the agent's key).

Exit codes: 0 all keys are there, 1 they could not be made, and a sentence says why.
"""

import argparse
import base64
import json
import secrets
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException

from porthole_contract.errors import PortholeError
from porthole_contract.names import LABEL_PART_OF
from porthole_contract.stream.channels import SERVED, Mode
from porthole_contract.stream.grant import SigningKey, key_id
from porthole_operator.certificates import certificate, pem

AGENT: Final = "porthole-agent"
ISSUERS: Final = "porthole-issuers"

_CONFLICT, _MISSING = 409, 404

Entries = dict[str, bytes]


class CannotMake(PortholeError):
    """The keys cannot be made; the sentence says why."""

    code = "keys_not_made"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A Secret that has to be there: the names of its entries, and what makes them all."""

    name: str
    entries: tuple[str, ...]
    make: Callable[[], Entries]


def wanted(*, database: Iterable[str], server: Iterable[str]) -> tuple[Wanted, ...]:
    """Return the Secrets of an installation.

    Args:
        database: the host names of a bundled database; none: it has no such Secret.
        server: the host names and addresses of the control plane; none: its certificate was
            given, or there is no control plane here.
    """
    database, server = tuple(database), tuple(server)
    found = [
        Wanted(AGENT, ("key.pem",), signing_key),
        Wanted("porthole-metrics", ("token",), lambda: {"token": _random()}),
    ]
    if server:
        found += [
            Wanted("porthole-administrator", ("token",), administrator_token),
            Wanted("porthole-tls", _TLS, lambda: certificate("Porthole", server)),
        ]
    if database:
        found += [
            Wanted("porthole-database", ("password",), lambda: {"password": _random()}),
            Wanted("porthole-database-tls", _TLS, lambda: certificate("Database", database)),
        ]
    return tuple(found)


_TLS: Final = ("tls.crt", "tls.key", "ca.crt")


def signing_key() -> Entries:
    """Make the key by which the agent proves who it is and signs grants."""
    key = Ed25519PrivateKey.generate()
    return {"key.pem": pem(key)}


def administrator_token() -> Entries:
    """Make the administrator's token, in the form that the control plane knows."""
    return {"token": f"pht_{uuid.uuid4().hex}_{secrets.token_hex(32)}".encode()}


def issuers(agent: Mapping[str, bytes]) -> str:
    """Return `issuers.json`: who may sign grants for gates, made from the agent's Secret.

    Raises:
        CannotMake: its key is none.
    """
    try:
        key = serialization.load_pem_private_key(agent["key.pem"], None)
    except (ValueError, TypeError) as error:
        raise CannotMake(f"The key in the Secret {AGENT} cannot be read: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise CannotMake(f"The key in the Secret {AGENT} is no Ed25519 key.")
    issuer = SigningKey(key_id("agent", key.public_key()), key).issuer(
        channels=tuple(SERVED), modes=tuple(Mode)
    )
    plain = {**issuer.to_dict(), "key_id": issuer.key_id, "public_key": issuer.public_key}
    return json.dumps([plain], indent=2, sort_keys=True)


class Namespace:
    """The Secrets and ConfigMaps of one namespace.

    Args:
        core: the API server.
        name: the namespace.
    """

    def __init__(self, core: client.CoreV1Api, name: str) -> None:
        self._core = core
        self._name = name

    def keep(self, secret: Wanted) -> Entries:
        """Return a Secret's entries; those that are missing are made, and written, now.

        All of them are made when one is missing of what belongs together, so that a key never
        gets another's certificate.
        """
        found = self._read(secret.name)
        if found is not None and all(found.get(name) for name in secret.entries):
            return found
        made = secret.make()
        data = {name: base64.b64encode(content).decode() for name, content in made.items()}
        body = client.V1Secret(metadata=_metadata(secret.name), type="Opaque", data=data)
        try:
            if found is None:
                self._core.create_namespaced_secret(self._name, body)
            else:
                self._core.patch_namespaced_secret(secret.name, self._name, {"data": data})
        except ApiException as error:
            if error.status != _CONFLICT:
                raise
            return self.keep(secret)  # another has made it meanwhile
        sys.stdout.write(f"Secret {secret.name}: made\n")
        return made

    def put(self, name: str, data: Mapping[str, str]) -> None:
        """Make a ConfigMap, or bring it up to date."""
        body = client.V1ConfigMap(metadata=_metadata(name), data=dict(data))
        try:
            self._core.create_namespaced_config_map(self._name, body)
        except ApiException as error:
            if error.status != _CONFLICT:
                raise
            self._core.patch_namespaced_config_map(name, self._name, {"data": dict(data)})

    def _read(self, name: str) -> Entries | None:
        try:
            secret = self._core.read_namespaced_secret(name, self._name)
        except ApiException as error:
            if error.status == _MISSING:
                return None
            raise
        data: Mapping[str, Any] = secret.data or {}
        return {entry: base64.b64decode(content) for entry, content in data.items()}


def main() -> int:
    """Make what is missing; return the exit status."""
    parser = argparse.ArgumentParser(prog="porthole_operator.keys")
    parser.add_argument("--namespace", required=True, help="where the keys are")
    parser.add_argument("--server", action="append", default=[], metavar="NAME")
    parser.add_argument("--database", action="append", default=[], metavar="NAME")
    given = parser.parse_args()
    try:
        _reach_the_cluster()
        namespace = Namespace(client.CoreV1Api(), given.namespace)
        make(namespace, wanted(database=given.database, server=given.server))
    except PortholeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except (ApiException, ConfigException, OSError) as error:
        sys.stderr.write(f"The cluster does not take the keys: {error}\n")
        return 1
    return 0


def _reach_the_cluster() -> None:
    """Take the cluster that this pod runs in, or the one that a kubeconfig names."""
    load: Any = config
    try:
        load.load_incluster_config()
    except ConfigException:
        load.load_kube_config()


def make(namespace: Namespace, secrets_: Iterable[Wanted]) -> None:
    """See to it that all Secrets are there, and that the list of issuers follows from them."""
    for secret in secrets_:
        entries = namespace.keep(secret)
        if secret.name == AGENT:
            namespace.put(ISSUERS, {"issuers.json": issuers(entries)})


def _metadata(name: str) -> client.V1ObjectMeta:
    return client.V1ObjectMeta(name=name, labels={LABEL_PART_OF: "porthole"})


def _random() -> bytes:
    return secrets.token_hex(32).encode()


if __name__ == "__main__":
    sys.exit(main())
