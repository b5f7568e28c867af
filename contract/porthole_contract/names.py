"""Names of objects, labels and annotations, and what each one guarantees."""

import hashlib
import re
import unicodedata
from uuid import UUID, uuid5

from porthole_contract.errors import Invalid

GROUP = "porthole.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

LABEL_SESSION = f"{GROUP}/session"
LABEL_OWNER = f"{GROUP}/owner"
LABEL_TEMPLATE = f"{GROUP}/template"
LABEL_HOME = f"{GROUP}/home"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_PART_OF = "app.kubernetes.io/part-of"
ANNOTATION_ORDER = f"{GROUP}/order"
ANNOTATION_ORIGIN = f"{GROUP}/origin"
ANNOTATION_SESSION_ID = f"{GROUP}/session-id"
ANNOTATION_TEMPLATE_DIGEST = f"{GROUP}/template-digest"
ANNOTATION_HOME_ID = f"{GROUP}/home-id"
ANNOTATION_HOME_NAME = f"{GROUP}/home-name"
ANNOTATION_HOME_HOLDER = f"{GROUP}/home-holder"
ANNOTATION_HOME_CLAIM = f"{GROUP}/home-claim"
"""On a home's volume: the attempt of its holder that was begun with it last."""
ANNOTATION_OWNER = f"{GROUP}/owner"
ANNOTATION_ATTEMPT = f"{GROUP}/attempt"
ANNOTATION_FINGERPRINT = f"{GROUP}/gate-fingerprint"
ANNOTATION_TRACEPARENT = f"{GROUP}/traceparent"
"""What the order that a session holds is a part of, as W3C Trace Context writes it."""
ANNOTATION_FILES = f"{GROUP}/files-until"
"""On a session that sleeps: its files are to be served, until this moment at the most (RFC 3339).
On a pod: that this is all it does, and for which wish."""
ANNOTATION_SHAPE = f"{GROUP}/shape"
ANNOTATION_OWNERS = f"{GROUP}/owners"
"""On a namespace: whose sessions people may make in it besides their own, one line of
`username: owner` for each."""
FINALIZER = f"{GROUP}/finalizer"

OPERATOR = "porthole-operator"
"""Who writes the status and the children of Sessions: field manager and `managed-by`."""
OPERATOR_IDLE = "porthole-idle"
"""The field manager that sets `spec.desired` of idle Sessions, and nothing else."""
AGENT = "porthole-agent"
"""The field manager that owns the spec of Sessions whose origin is `api`."""
ORIGIN_API = "api"
ORIGIN_KUBECTL = "kubectl"

LONGEST_SESSION_NAME = 52
"""Leaves eleven characters of a 63-character label for suffixes of children."""

_LONGEST_OWNER = 253

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_HASHED = re.compile(r".*-[0-9a-f]{8}")
_NOT_ALLOWED = re.compile(r"[^a-z0-9]+")
# Control, format (they turn or hide what stands beside them), separators, halves of characters.
# Not `isprintable`: what is printable to one Python is unassigned to an older one.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})
_USER = re.compile(r"[^\x00-\x20\x7f/\\]+")


def check_name(name: str, *, field: str = "name", longest: int = LONGEST_SESSION_NAME) -> str:
    """Return `name` if it can name an object: an RFC 1123 label of at most `longest`.

    Raises:
        Invalid: it cannot.
    """
    if len(name) > longest:
        raise Invalid(field, f"must be at most {longest} characters long")
    if not _DNS_LABEL.fullmatch(name):
        raise Invalid(
            field,
            "must be lower-case letters, digits and '-', starting and ending with a letter"
            " or a digit",
        )
    return name


def check_owner(owner: str, *, field: str = "owner") -> str:
    """Return `owner` if it can be a user's name: 1-253 characters that are seen, no slash.

    Kubernetes usernames such as `system:serviceaccount:ns:name` and mail addresses pass.

    Raises:
        Invalid: it cannot.
    """
    if not 1 <= len(owner) <= _LONGEST_OWNER:
        raise Invalid(field, "must be between 1 and 253 characters long")
    unseen = any(unicodedata.category(character) in _UNSEEN for character in owner)
    if unseen or not _USER.fullmatch(owner):
        raise Invalid(field, "must not contain spaces, slashes or control characters")
    return owner


def slug(text: str, *, longest: int = LONGEST_SESSION_NAME) -> str:
    """Return an object name that stands for `text`.

    Guarantees: the result passes `check_name`; a text that already is a short enough name
    is returned as it is, unless it ends as if it had a suffix already; any other text gets
    a suffix of 8 hexadecimal digits of its SHA-256. So different texts get different names
    (but for a collision of that hash), and nobody can choose a name that is another's slug.
    `longest` must be at least 10.
    """
    if len(text) <= longest and _DNS_LABEL.fullmatch(text) and not _HASHED.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    stem = _NOT_ALLOWED.sub("-", plain).strip("-")[: longest - 9].strip("-")
    return f"{stem}-{digest}" if stem else f"x-{digest}"


def session_name(template: str, session: UUID) -> str:
    """Return the name of a session that was given none: `<template>-<last 6 of its id>`."""
    return f"{template[: LONGEST_SESSION_NAME - 7].rstrip('-')}-{session.hex[-6:]}"


def home_id(namespace: UUID, owner: str, name: str) -> UUID:
    """Return the id of `owner`'s home `name` in a cluster's namespace of that uid.

    Owners have no slash, so two different pairs never make the same text.
    """
    return uuid5(namespace, f"{owner}/{name}")


def revision_object(digest: str, session: str) -> str:
    """Return the name of the object that keeps a template's revision for a session of that name.

    It is owned by all sessions that it is kept for, and written whole for each that comes and
    goes. So there are up to 256 of them, and by their names sessions are spread among these.
    """
    return f"{shared_revision(digest)}-{hashlib.sha256(session.encode()).hexdigest()[:2]}"


def shared_revision(digest: str) -> str:
    """Return how those names begin; an object of this name kept the revision for all once."""
    return f"template-{digest[:40]}"


def home_object(home: UUID) -> str:
    """Return the name of a home's volume; it never contains the home's display name."""
    return f"home-{home.hex}"
