"""What the API says about people, and what it asks for."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from porthole_contract.quantities import Duration
from porthole_contract.session import Owner
from porthole_control.people.repository import Token, User
from porthole_control.people.rules import Principal, Scope

Title = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$")]


UserName = Annotated[
    str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9][A-Za-z0-9.@:_+-]*$")
]
"""A user's name as we make them; mail addresses and Kubernetes' usernames are such names."""


class UserOut(BaseModel):
    """A user."""

    id: UUID
    name: str
    is_admin: bool
    kubernetes_username: str | None = Field(
        description="Who they are to the API servers of clusters: what was made there for that"
        " owner is listed under them."
    )
    created_at: datetime

    @classmethod
    def of(cls, user: User) -> "UserOut":
        """Return what the API says of this row."""
        return cls(
            id=user.id,
            name=user.name,
            is_admin=user.is_admin,
            kubernetes_username=user.kubernetes_username,
            created_at=user.created_at,
        )


class UserPatch(BaseModel):
    """A merge patch (RFC 7396) of a user."""

    model_config = ConfigDict(extra="forbid")

    kubernetes_username: Owner | None = Field(
        default=None,
        description="Who they are to the API servers of clusters; null: nobody there is them.",
    )


class Me(BaseModel):
    """Who is asking, and what this token is good for."""

    id: UUID
    name: str
    is_admin: bool
    scopes: list[Scope]

    @classmethod
    def of(cls, principal: Principal) -> "Me":
        """Return what the API says of the caller."""
        return cls(
            id=principal.user_id,
            name=principal.name,
            is_admin=principal.is_admin,
            scopes=sorted(principal.scopes),
        )


class SignIn(BaseModel):
    """What a sign-in link carries in its fragment, or a token."""

    model_config = ConfigDict(extra="forbid")

    token: Annotated[str, Field(min_length=1, max_length=200)]


class NewToken(BaseModel):
    """A token that is asked for."""

    model_config = ConfigDict(extra="forbid")

    name: Title
    user: UserName | None = Field(
        default=None, description="Whose; null: the caller's. Made if there is none yet."
    )
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=20)] | None = Field(
        default=None, description="What it is good for; null: all that the caller's is."
    )
    lifetime: Duration | None = Field(
        default=None, description="How long, e.g. `720h`; null: until it is revoked."
    )


class TokenOut(BaseModel):
    """A token, without its secret."""

    id: UUID
    name: str
    user: str
    kind: str = Field(description="`token`, or `cookie` for a signed-in browser.")
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, token: Token) -> "TokenOut":
        """Return what the API says of this row."""
        return cls(
            id=token.id,
            name=token.name,
            user=token.user,
            kind=token.kind,
            scopes=token.scopes,
            created_at=token.created_at,
            expires_at=token.expires_at,
            last_used_at=token.last_used_at,
        )


class TokenCreated(TokenOut):
    """A token that was just made; `token` is shown this once."""

    token: str


class SignInLinkOut(BaseModel):
    """A link that signs a browser in as the caller, once; its fragment never leaves it."""

    url: str
    expires_at: datetime
