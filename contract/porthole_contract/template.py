"""SessionTemplate `porthole.dev/v1alpha1`: what a session is made from.

A template's revisions are immutable; a session pins the one it started with, by number
and by the digest of its canonical JSON.
"""

import hashlib
import json
import re
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool
from typing_extensions import TypeAliasType

from porthole_contract.model import NO_NUL, Frozen
from porthole_contract.quantities import Duration, parse_quantity
from porthole_contract.session import Idle, Name, Protocol, ResourceList, Resources, SessionFields

_CLIPBOARD = r"^([1-9][0-9]{0,6}|[1-9][0-9]{0,3}Ki|([1-9]|[1-5][0-9]|6[0-4])Mi)$"
"""Some bytes, 64Mi at the most, in words that a schema can say. A gate has limits of its own."""


class Profile(StrEnum):
    """Which shape of pod it needs; locally all three run in the same isolation."""

    RESTRICTED = "restricted"
    RDP = "rdp"
    SANDBOX = "sandbox"


class EgressMode(StrEnum):
    """What a session's programs may reach."""

    NONE = "none"
    INTERNET = "internet"  # everything but loopback, link-local and private ranges
    ALL = "all"
    RULES = "rules"


class EgressRule(Frozen):
    """One destination that is allowed under `rules`: a network and, optionally, ports."""

    cidr: Annotated[str, Field(max_length=49, pattern=r"^[0-9a-fA-F.:]+/[0-9]{1,3}$")]
    """The network, such as `192.0.2.0/24`."""
    ports: Annotated[tuple[Annotated[int, Field(ge=1, le=65535)], ...], Field(max_length=64)] = ()
    """The ports in it. Left out: all."""


class Egress(Frozen):
    """What a session may reach: a mode, and the rules if the mode is `rules`."""

    mode: EgressMode = EgressMode.INTERNET
    """`none`; `internet`, which is everything but loopback, link-local and private ranges;
    `all`; or `rules`."""
    rules: Annotated[tuple[EgressRule, ...], Field(max_length=64)] = ()
    """What is allowed if the mode is `rules`."""


class Program(Frozen):
    """A program of the desktop.

    `command` is executed without a shell. Programs with `autostart` are started with the
    desktop and, with `restart`, started again when they end. All are in its menu.
    `{start}` in an argument is replaced by the session's `start`, or the argument is left
    out if there is none.
    """

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[^\x00-\x1f]+$")]
    """What it is called in the desktop's menu."""
    command: Annotated[
        tuple[Annotated[str, Field(max_length=4096, pattern=r"^[^\x00]*$")], ...],
        Field(min_length=1, max_length=64),
    ]
    """The program and its arguments, executed without a shell. `{start}` in an argument is
    replaced by the session's `start`, or the argument is left out if there is none."""
    autostart: StrictBool = False
    """Whether it is started with the desktop."""
    restart: StrictBool = False
    """Whether it is started again when it ends, if it is one of those."""
    icon: Annotated[str, Field(max_length=255, pattern=NO_NUL)] | None = None
    """The name of its icon in the desktop's theme."""


class FileRules(Frozen):
    """Which way files may go between a desktop's home and those outside it.

    Programs are run from outside only where both may be: whoever runs one carries files.
    """

    upload: StrictBool = True
    """Whether files may be put into its home, renamed and deleted there."""
    download: StrictBool = True
    """Whether files may be taken out of its home. Their names can be seen in any case."""


class ClipboardRules(Frozen):
    """Which way texts and pictures may go by the clipboard, and how long they may be.

    Programs are run from outside only where both may be: whoever runs one asks the desktop's
    clipboard.
    """

    upload: StrictBool = True
    """Whether what was copied elsewhere may be pasted in its desktops."""
    download: StrictBool = True
    """Whether what was copied in its desktops may be pasted elsewhere."""
    limit: Annotated[str, Field(pattern=_CLIPBOARD)] | None = None
    """The most bytes that go at once: `64Ki`, and `64Mi` at the most. Left out: what a gate
    lets pass, `1Mi` of text."""

    @property
    def most(self) -> int | None:
        """Bytes; None: as many as a gate lets pass."""
        return None if self.limit is None else int(parse_quantity(self.limit))


class Limits(Frozen):
    """The most that a session may ask for; None does not limit."""

    resources: ResourceList = ResourceList()
    """The most of each resource that may be requested or set as a limit."""
    lifetime: Duration | None = None
    """The longest life, such as `24h`; also that of sessions which ask for none."""
    idle_after: Duration | None = None
    """The longest that a session may stay unused; also of those which ask for nothing."""


Package = Annotated[str, Field(max_length=128, pattern=r"^[a-z0-9][a-z0-9.+-]+$")]


LONGEST_COMMANDS = 64 * 1024
"""Characters of the commands of all programs together."""
LONGEST_POD = 64 * 1024
"""Characters of the JSON of `pod`."""
_DEEPEST_POD = 32
_UNICODE = re.compile(r"[^\x00\ud800-\udfff]*")


def _not_too_long(programs: tuple[Program, ...]) -> tuple[Program, ...]:
    if sum(len(part) for program in programs for part in program.command) > LONGEST_COMMANDS:
        raise ValueError(f"commands must be at most {LONGEST_COMMANDS} characters long in all")
    return programs


PlainText = Annotated[str, Field(pattern=NO_NUL)]
_CLOSED = Field(json_schema_extra={"additionalProperties": False})
Json = TypeAliasType(
    "Json",
    "Annotated[dict[PlainText, Json], _CLOSED] | list[Json] | PlainText | int | float | bool"
    " | None",
)
JsonObject = Annotated[dict[PlainText, Json], _CLOSED]


def _small_json(pod: Any) -> Any:
    """Refuse what is not JSON, or is more of it than a pod can need."""
    look: list[tuple[Any, int]] = [(pod, 1)]
    while look:
        value, depth = look.pop()
        if depth > _DEEPEST_POD:
            raise ValueError(f"must be at most {_DEEPEST_POD} levels deep")
        if isinstance(value, dict):
            look += [(inner, depth + 1) for pair in value.items() for inner in pair]
            if not all(isinstance(key, str) for key in value):
                raise ValueError("must have texts for keys")
        elif isinstance(value, list):
            look += [(inner, depth + 1) for inner in value]
        elif isinstance(value, str) and not _UNICODE.fullmatch(value):
            raise ValueError("must not contain NUL or halves of surrogate pairs")
        elif not isinstance(value, str | int | float | None):
            raise ValueError(f"must be JSON, and {type(value).__name__} is not")
    try:
        length = len(json.dumps(pod, allow_nan=False))
    except ValueError:
        raise ValueError("must not contain numbers that JSON does not have") from None
    if length > LONGEST_POD:
        raise ValueError(f"must be at most {LONGEST_POD} characters long as JSON")
    return pod


class SessionTemplateSpec(Frozen):
    """What a session is made from.

    `image` is what a cluster runs; `packages` are the Debian packages that the local
    runtime (and an image recipe) needs. `pod` is passed to the pod's maker as it is.
    """

    title: Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f]+$")]
    """What people see in lists."""
    description: Annotated[str, Field(max_length=1000, pattern=NO_NUL)] = ""
    """What it is for, in a sentence or two."""
    icon: Annotated[str, Field(max_length=32768, pattern=NO_NUL)] | None = None
    """A picture for lists: the name of one, or a data URL."""
    image: Annotated[str, Field(max_length=512, pattern=r"^[^\x00-\x20]+$")] | None = None
    """The image that a cluster runs. A name without a registry is found where Porthole's own
    images are."""
    packages: Annotated[tuple[Package, ...], Field(max_length=256)] = ()
    """The Debian packages that its programs come from, where there are no images."""
    protocols: Annotated[tuple[Protocol, ...], Field(min_length=1)] = (Protocol.VNC,)
    """How its desktops can be looked at; the first is what a session gets that does not say."""
    profile: Profile = Profile.RESTRICTED
    """Which shape of pod it needs: `restricted`, `rdp` or `sandbox`. A cluster has to be set up
    for all but the first."""
    programs: Annotated[
        tuple[Program, ...], Field(max_length=64), AfterValidator(_not_too_long)
    ] = ()
    """The programs in its menu, and which of them are started with it."""
    defaults: SessionFields = SessionFields()
    """What a session gets that does not say otherwise."""
    limits: Limits = Limits()
    """What a session may ask for at the most."""
    resources: Resources = Resources()
    """What of a machine a session gets that asks for nothing."""
    egress: Egress = Egress()
    """What its programs may reach over the network."""
    files: FileRules = FileRules()
    """Which way files may go between its home and those who use it."""
    clipboard: ClipboardRules = ClipboardRules()
    """Which way the clipboard may go between its desktops and those who use them."""
    idle: Idle = Idle()
    """What happens to a session that nobody uses, if it does not say so itself."""
    pod: Annotated[JsonObject, BeforeValidator(_small_json)] = Field(default_factory=dict)
    """What is added to the pod in a cluster, in Kubernetes' own words: `imagePullSecrets`,
    `nodeSelector`, `tolerations`, `affinity`, `runtimeClassName`, further `env` and volumes
    from Secrets and ConfigMaps, extended resources. Whoever may write templates may hence
    use what the namespace holds."""

    def digest(self) -> str:
        """Return the SHA-256 (lower hex) of the canonical JSON of this revision.

        What has its default is left out, so that a field which a later version adds changes
        the digest of no revision that does not use it.
        """
        plain = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


class SessionTemplate(Frozen):
    """The object: a name and what it makes."""

    name: Name
    spec: SessionTemplateSpec

    @classmethod
    def from_manifest(cls, manifest: dict[str, Any]) -> "SessionTemplate":
        """Read the YAML form (`apiVersion`, `kind`, `metadata.name`, `spec`).

        Raises:
            pydantic.ValidationError: it is not a SessionTemplate.
        """
        metadata = manifest.get("metadata")
        return cls.model_validate(
            {
                "name": metadata.get("name") if isinstance(metadata, dict) else None,
                "spec": manifest.get("spec"),
            }
        )

    def manifest(self) -> dict[str, Any]:
        """Return the Kubernetes object."""
        return {
            "apiVersion": "porthole.dev/v1alpha1",
            "kind": "SessionTemplate",
            "metadata": {"name": self.name},
            "spec": self.spec.to_dict(),
        }


class PinnedTemplate(Frozen):
    """The revision that a session started with: whole, or only its digest.

    An agent that lacks the digest asks for it (`WantTemplate`).
    """

    name: Name
    """The template's name."""
    revision: Annotated[int, Field(ge=1, lt=2**31)]
    """The number of the revision."""
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """The SHA-256 of what it says, in lower-case hexadecimal digits."""
    spec: SessionTemplateSpec | None = None
    """What it says; left out where only the digest travels."""
