"""What containers use, as the kernel writes it down."""

from uuid import UUID

from porthole_agent import news
from porthole_agent.runtimes.local.usage import counted
from porthole_agent.runtimes.port import Capacity, Overview, Use
from porthole_contract.kernel import carried

DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs
    lo:  999999     100    0    0    0     0          0         0   999999     100    0
  tap0:    4096      12    0    0    0     0          0         0     2048      10    0
"""


def test_the_loopback_is_no_network():
    assert carried(DEV) == (4096, 2048)
    assert carried("") == (0, 0)


def test_a_number_is_found_by_its_whole_name():
    text = "usage_usec_total 7\nusage_usec 12\ninactive_file 5\n"
    assert counted(text, "usage_usec") == 12
    assert counted(text, "active_file") == 0


def test_what_sessions_use_is_told_with_the_agent():
    use = Use(UUID(int=1), 1.5, 2, 3, 4, 5, age=6)
    seen = Overview(UUID(int=2), (), Capacity(1, 1, 1, 1, 1, 1), draining=False, uses=(use,))
    (told,) = news.of_agent(seen, runtime="local", program="test").uses
    assert (told.session, told.cpu_seconds, told.memory, told.disk) == (UUID(int=1), 1.5, 2, 3)
    assert (told.received, told.sent, told.age) == (4, 5, 6)
