from uuid import uuid4

from porthole_control.link import limits
from porthole_control.link.limits import Limits


def test_so_many_greetings_of_one_address(monkeypatch):
    monkeypatch.setattr(limits, "GREETINGS_OF_ADDRESS", 2)
    counted = Limits()
    assert [counted.enter("a") for _ in range(3)] == [True, True, False]
    assert counted.enter("b")
    counted.leave("a")
    assert counted.enter("a")


def test_so_many_greetings_altogether(monkeypatch):
    monkeypatch.setattr(limits, "GREETINGS", 2)
    counted = Limits()
    assert [counted.enter(address) for address in "abc"] == [True, True, False]
    counted.leave("a")
    assert counted.enter("c")


def test_so_many_links_of_an_agent_in_a_while():
    counted = Limits()
    agent = uuid4()
    assert all(counted.linked(agent, 0.0) for _ in range(limits.LINKS_OF_AGENT))
    assert not counted.linked(agent, limits.WINDOW_SECONDS)
    assert counted.linked(uuid4(), 1.0)
    assert counted.linked(agent, limits.WINDOW_SECONDS + 0.1)
