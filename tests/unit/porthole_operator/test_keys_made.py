"""The keys of an installation, as they are made."""

import json
import re

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import verification

from porthole_contract.stream.grant import Issuer, key_id
from porthole_operator.certificates import certificate
from porthole_operator.keys import CannotMake, administrator_token, issuers, signing_key, wanted


def test_a_certificate_is_good_for_its_names_and_no_others():
    made = certificate("Porthole", ["porthole.porthole-system.svc", "127.0.0.1"])
    (leaf,) = x509.load_pem_x509_certificates(made["tls.crt"])
    authorities = verification.Store(x509.load_pem_x509_certificates(made["ca.crt"]))
    key = serialization.load_pem_private_key(made["tls.key"], None)
    assert key.public_key() == leaf.public_key()

    def is_good_for(name: str) -> bool:
        builder = verification.PolicyBuilder().store(authorities)
        verifier = builder.build_server_verifier(x509.DNSName(name))
        try:
            verifier.verify(leaf, [])
        except verification.VerificationError:
            return False
        return True

    assert is_good_for("porthole.porthole-system.svc")
    assert not is_good_for("porthole.default.svc")


def test_the_list_of_issuers_follows_from_the_agents_key():
    entries = signing_key()
    (plain,) = json.loads(issuers(entries))
    issuer = Issuer.model_validate(plain)
    key = serialization.load_pem_private_key(entries["key.pem"], None)
    assert issuer.key() == key.public_key()
    assert issuer.key_id == key_id("agent", issuer.key())
    assert set(issuer.modes) == {"view", "control", "observe", "command"}
    with pytest.raises(CannotMake, match="porthole-agent"):
        issuers({"key.pem": b"no key"})


def test_an_administrators_token_has_the_form_that_tokens_have():
    assert re.fullmatch(rb"pht_[0-9a-f]{32}_[0-9a-f]{64}", administrator_token()["token"])


@pytest.mark.parametrize(
    ("database", "server", "names"),
    [
        ((), (), {"agent", "metrics"}),
        ((), ("a",), {"agent", "administrator", "metrics", "tls"}),
        (("d",), ("a",), {"agent", "administrator", "metrics", "tls", "database", "database-tls"}),
    ],
)
def test_what_is_not_here_needs_no_key(database, server, names: set[str]):
    made = wanted(database=database, server=server)
    assert {one.name for one in made} == {f"porthole-{name}" for name in names}
    for one in made:
        assert set(one.entries) <= set(one.make())
