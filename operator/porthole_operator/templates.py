"""Which revision of a template a Session is held to, found in the cluster.

A revision never changes, so it is read once and remembered.
"""

from collections import OrderedDict
from typing import Final

from pydantic import ValidationError

from porthole_contract.cluster import Object
from porthole_contract.conditions import Reason
from porthole_contract.lifecycle import Phase
from porthole_contract.names import ORIGIN_API, revision_object, shared_revision
from porthole_contract.session import PinnedName
from porthole_contract.template import SessionTemplate
from porthole_kube.cluster import Cluster
from porthole_kube.kinds import REVISIONS, TEMPLATES
from porthole_operator.checks import TROUBLED
from porthole_operator.seen import Finding, Template
from porthole_operator.subject import Subject

_REMEMBERED: Final = 256


class Templates:
    """Finds the templates of Sessions."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._known: OrderedDict[tuple[str, str], Template] = OrderedDict()

    async def of(self, subject: Subject, made_from: str | None) -> Template | Finding:
        """Return the revision that a Session is held to, or why there is none.

        Args:
            subject: the Session.
            made_from: the digest that its pod carries; it may not be noted yet.
        """
        if subject.spec is None:
            return Finding(Reason.SPEC_INVALID, subject.fault)
        held = subject.status.template
        if subject.digest is not None:
            return await self._pinned(subject, subject.digest)
        if held is not None and not _may_be_corrected(subject):
            return await self._pinned(subject, held.digest)
        if made_from is not None and subject.status.phase is not Phase.FAILED:
            found = await self._pinned(subject, made_from)
            if isinstance(found, Template) and not _in_trouble(subject):
                return found
        return await self._newest(subject)

    async def _pinned(self, subject: Subject, digest: str) -> Template | Finding:
        key = (subject.namespace, digest)
        if key in self._known:
            self._known.move_to_end(key)
            return _as_counted(subject, self._known[key])
        for name in (revision_object(digest, subject.name), shared_revision(digest)):
            body = await self._cluster.get(REVISIONS, subject.namespace, name)
            if body is not None:
                break
        found = _read(None if body is None else body.get("data"))
        if body is None or not isinstance(found, SessionTemplate) or found.spec.digest() != digest:
            return Finding(
                Reason.TEMPLATE_UNKNOWN,
                f"The revision {digest[:12]} of its template, which it is held to, is not here.",
            )
        known = self._remember(key, found, int(body.get("revision") or 1))
        return _as_counted(subject, known)

    async def _newest(self, subject: Subject) -> Template | Finding:
        assert subject.spec is not None, "who has no spec has no template"
        name = subject.spec.template.name
        if subject.spec.template.revision is not None:
            return Finding(
                Reason.TEMPLATE_UNKNOWN,
                "Only a control plane counts revisions of templates; here spec.template is"
                f" '{name}' alone.",
            )
        body = await self._cluster.get(TEMPLATES, subject.namespace, name)
        if body is None:
            return Finding(
                Reason.TEMPLATE_UNKNOWN,
                f"There is no SessionTemplate '{name}' in the namespace {subject.namespace}.",
            )
        found = _read(body)
        if isinstance(found, str):
            return Finding(
                Reason.TEMPLATE_NOT_OFFERED, f"The SessionTemplate {name} is not valid: {found}"
            )
        digest = found.spec.digest()
        # What is asked for by its digest next is this; that it is kept is seen to elsewhere.
        return _as_counted(subject, self._remember((subject.namespace, digest), found, 1))

    def _remember(self, key: tuple[str, str], found: SessionTemplate, revision: int) -> Template:
        spoken = found.spec.protocols
        pin = PinnedName(name=found.name, revision=revision, digest=key[1], protocols=spoken)
        self._known[key] = Template(pin, found.spec)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return self._known[key]


def _may_be_corrected(subject: Subject) -> bool:
    """Whether it takes its template as it is now: it has never been drawn and is not about to."""
    never = not subject.status.attempt.drawn
    return never and subject.status.phase in {Phase.PENDING, Phase.FAILED}


def _in_trouble(subject: Subject) -> bool:
    return subject.status.phase is Phase.PENDING and subject.status.reason in TROUBLED


def _as_counted(subject: Subject, found: Template) -> Template:
    """Return it with a number if there is somebody who counts."""
    if subject.origin == ORIGIN_API:
        return found
    return Template(found.pin.model_copy(update={"revision": None}), found.spec)


def _read(body: Object | None) -> SessionTemplate | str:
    """Return the template, or what is wrong with it."""
    try:
        return SessionTemplate.from_manifest(body or {})
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        return f"{where}: {fault['msg'].removeprefix('Value error, ')}."
