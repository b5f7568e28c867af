"""Tokens as text, what is kept of them, and what they are good for."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_control.errors import Forbidden
from porthole_control.people import rules
from porthole_control.people.rules import ALL_SCOPES, Principal, Scope

secrets = st.binary(min_size=32, max_size=32)
prefixes = st.sampled_from([rules.TOKEN, rules.COOKIE, rules.SIGN_IN, rules.JOIN, rules.TICKET])


@given(prefixes, st.uuids(), secrets)
def test_a_token_is_read_back_under_its_own_prefix_only(
    prefix: str, identity: UUID, secret: bytes
) -> None:
    text = rules.compose(prefix, identity, secret)
    assert rules.dissect(prefix, text) == (identity, secret)
    for other in {rules.TOKEN, rules.COOKIE, rules.SIGN_IN, rules.JOIN, rules.TICKET} - {prefix}:
        assert rules.dissect(other, text) is None


@given(st.text(max_size=200))
def test_rubbish_is_no_token(text: str) -> None:
    assert rules.dissect(rules.TOKEN, text) is None


@given(secrets, secrets)
def test_only_the_secret_itself_proves(secret: bytes, other: bytes) -> None:
    kept = rules.kept(secret)
    assert rules.proves(secret, kept)
    assert rules.proves(other, kept) == (secret == other)
    assert secret not in kept


def principal(*scopes: Scope, is_admin: bool = False) -> Principal:
    return Principal(uuid4(), "ann", is_admin, frozenset(scopes), uuid4())


def test_a_scope_gives_no_more_than_its_user_may() -> None:
    user, admin = principal(*ALL_SCOPES), principal(*ALL_SCOPES, is_admin=True)
    assert admin.may(Scope.AGENTS)
    assert not user.may(Scope.AGENTS)
    with pytest.raises(Forbidden, match="administrator"):
        user.must(Scope.TEMPLATES)
    with pytest.raises(Forbidden, match="scope 'sessions'"):
        principal(Scope.READ, is_admin=True).must(Scope.SESSIONS)


@given(st.sets(st.sampled_from(Scope)), st.sets(st.sampled_from(Scope)))
def test_a_new_token_has_at_most_the_scopes_of_its_maker(
    own: set[Scope], wanted: set[Scope]
) -> None:
    if wanted <= own:
        assert rules.narrowed(wanted, frozenset(own)) == wanted
    else:
        with pytest.raises(Forbidden):
            rules.narrowed(wanted, frozenset(own))
    assert rules.narrowed(None, frozenset(own)) == own


def test_scopes_that_are_gone_grant_nothing() -> None:
    assert rules.parse_scopes(["read", "of an older version"]) == {Scope.READ}
