"""ServiceAccounts of the cluster that we run in: whose token is it?

The API server is asked (TokenReview), so that a token of a pod or an account that is gone is
worth nothing. Tokens are made for us alone: their audience is `porthole`.
"""

import asyncio
import json
import os
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from porthole_control.errors import Forbidden, Unavailable

AUDIENCE: Final = "porthole"
_MOUNTED: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_REVIEWS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_PREFIX: Final = "system:serviceaccount:"
_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Reviewer:
    """An API server, and our own account there, which may create TokenReviews.

    Attributes:
        url: where it is.
        authorities: PEM file with who vouches for it.
        token: file with our own token; read each time, for it is renewed.
    """

    url: str
    authorities: Path
    token: Path

    @classmethod
    def of_this_pod(cls) -> "Reviewer | None":
        """Return the one of the cluster that this process runs in, or None."""
        host = os.environ.get("KUBERNETES_SERVICE_HOST")
        if not host or not (_MOUNTED / "token").exists():
            return None
        port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        address = f"[{host}]" if ":" in host else host
        return cls(f"https://{address}:{port}", _MOUNTED / "ca.crt", _MOUNTED / "token")

    async def account(self, token: str) -> str:
        """Return whose token it is, as `NAMESPACE/NAME`.

        Raises:
            Forbidden: it is no good token of a ServiceAccount, or was made for somebody else.
            Unavailable: the API server does not answer, or not us.
        """
        return await asyncio.to_thread(self._ask, token)

    def _ask(self, token: str) -> str:
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [AUDIENCE]},
        }
        own = self.token.read_text(encoding="ascii").strip()
        asking = urllib.request.Request(  # noqa: S310 - the cluster's own API server
            f"{self.url}{_REVIEWS}",
            data=json.dumps(review).encode(),
            headers={"Authorization": f"Bearer {own}", "Content-Type": "application/json"},
        )
        context = ssl.create_default_context(cafile=str(self.authorities))
        try:
            with urllib.request.urlopen(  # noqa: S310 - the same
                asking, timeout=_SECONDS, context=context
            ) as answer:
                status = json.load(answer).get("status", {})
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise Unavailable("The cluster cannot be asked whose token it is.") from error
        name = status.get("user", {}).get("username", "")
        if not status.get("authenticated") or not name.startswith(_PREFIX):
            raise Forbidden("This is no good token of a ServiceAccount.", code="account_unknown")
        return str(name).removeprefix(_PREFIX).replace(":", "/", 1)
