"""People: who is asking, tokens, and links that sign a browser in."""

from uuid import UUID

from porthole_client.models import Me, NewToken, SignInLink, Token
from porthole_client.nouns.lists import everything
from porthole_client.steps import Send, Steps, call, keyed

TOKENS = "/api/v1/tokens"


def me() -> Steps[Me]:
    """Return who this token belongs to and what it is good for."""
    answer = yield from call(Send("GET", "/api/v1/me"))
    return Me.model_validate_json(answer.body)


def tokens(*, everyone: bool = False) -> Steps[list[Token]]:
    """Return the tokens that are not revoked, newest first; `everyone` is for administrators."""
    query = {"everyone": "true"} if everyone else {}
    return (yield from everything(TOKENS, Token, query))


def create_token(
    name: str,
    *,
    user: str | None = None,
    scopes: list[str] | None = None,
    lifetime: str | None = None,
) -> Steps[NewToken]:
    """Make a token; its secret is in this answer and nowhere else.

    Args:
        name: what it is for.
        user: whose it is; None is the caller. Others' are made by administrators.
        scopes: what it is good for; None is all that the caller's is.
        lifetime: e.g. `720h`; None lives until it is revoked.
    """
    body = {"name": name, "user": user, "scopes": scopes, "lifetime": lifetime}
    answer = yield from call(
        Send(
            "POST",
            TOKENS,
            body={key: value for key, value in body.items() if value is not None},
            headers=keyed(),
        )
    )
    return NewToken.model_validate_json(answer.body)


def revoke_token(token: UUID | str) -> Steps[None]:
    """Revoke a token; what it had opened is closed."""
    yield from call(Send("DELETE", f"{TOKENS}/{token}"))


def sign_in_link() -> Steps[SignInLink]:
    """Make a link that signs a browser in as the caller, once and soon."""
    answer = yield from call(Send("POST", "/api/v1/sign-in-links", body={}))
    return SignInLink.model_validate_json(answer.body)
