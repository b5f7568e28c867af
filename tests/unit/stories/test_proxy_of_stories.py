"""What the reverse proxy of the stories makes of a request's head."""

import pytest

from e2e.support.proxy import Manner, passed_on

KEEPS = Manner("/desks")
STRIPS = Manner("/desks", strips=True, forwards=True)


def asked(target: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: a.example:444", *headers, "", ""]).encode()


def lines(head: bytes | None) -> list[str]:
    assert head is not None
    text = head.decode()
    assert text.endswith("\r\n\r\n")
    return text.removesuffix("\r\n\r\n").split("\r\n")


@pytest.mark.parametrize(
    ("target", "stripped"),
    [
        ("/desks", "/"),
        ("/desks/", "/"),
        ("/desks/api/v1/me?a=/b", "/api/v1/me?a=/b"),
        ("/desks/desks", "/desks"),
    ],
)
def test_the_path_stays_or_goes(target: str, stripped: str) -> None:
    assert lines(passed_on(asked(target), KEEPS, "10.1.1.1"))[0] == f"GET {target} HTTP/1.1"
    assert lines(passed_on(asked(target), STRIPS, "10.1.1.1"))[0] == f"GET {stripped} HTTP/1.1"


@pytest.mark.parametrize("target", ["/", "/deskside", "/favicon.ico", "/api/v1/me", "/desks?x"])
def test_what_is_not_below_the_path_goes_elsewhere(target: str) -> None:
    expected = target == "/desks?x"
    assert (passed_on(asked(target), KEEPS, "10.1.1.1") is not None) is expected


def test_a_connection_has_one_request_and_a_websocket_stays_one() -> None:
    plain = asked("/desks/", "Connection: keep-alive", "Keep-Alive: 5", "Cookie: a=b: c")
    assert lines(passed_on(plain, KEEPS, "10.1.1.1"))[1:] == [
        "Host: a.example:444",
        "Cookie: a=b: c",
        "Connection: close",
    ]
    socket = asked("/desks/", "Connection: keep-alive, Upgrade", "Upgrade: websocket")
    assert lines(passed_on(socket, KEEPS, "10.1.1.1"))[1:] == [
        "Host: a.example:444",
        "Connection: Upgrade",
        "Upgrade: websocket",
    ]


def test_who_asked_for_what_is_said_as_controllers_say_it() -> None:
    said = lines(passed_on(asked("/desks/"), STRIPS, "10.1.1.1"))
    assert {
        "Host: a.example:444",
        "X-Forwarded-For: 10.1.1.1",
        "X-Forwarded-Host: a.example:444",
        "X-Forwarded-Port: 444",
        "X-Forwarded-Prefix: /desks",
        "X-Forwarded-Proto: https",
    } <= set(said)
