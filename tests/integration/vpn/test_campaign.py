"""Agents killed at random moments while passes change hands, and nodes that follow for half an hour."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable

import pytest

from berth.access.tunnel import node_address
from demo.client import Client
from tests.integration.vpn.conftest import Chain, Networks, Node, tunnel, tunnel_subnet
from tests.integration.vpn.crowd import Crowd

pytestmark = [pytest.mark.docker, pytest.mark.chain, pytest.mark.timeout(600)]
# Processes that end meanwhile are none of it.
find_agent = (
    "{ for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline | grep -q 'berth.vpn $' && echo ${p#/proc/}; done; } "
    "2>/dev/null; true"
)
# New keys for half of all passes within a minute would wait for a person.
follows = {"AUTO_SYNC": "true", "NETWORK": "local", "BREAKER_SHARE": "100"}
_long_life = 10.0  # seconds: an agent that never lives so long is given up by process 1 the fifth time
per_block = 70  # registrations for which a block has the gas
# Seconds for an agent that was killed to start anew and read the list, on a machine that may do much besides; how
# soon that is where it does not, test_heal looks at.
_mended_within = 60.0


def agent(node: Node) -> str:
    return node.run("sh", "-c", find_agent).split()[0]


def kill_again_and_again(make_node: Callable[..., Node], chain: Chain, times: int) -> None:
    """After each kill the peers are those of a block, and soon those of the head; never of one before the last seen."""
    crowd = Crowd(chain, size=20)
    node = make_node(**follows)
    chance = random.Random(times)
    for number in range(1, times + 1):
        if number % 4 == 0:
            time.sleep(_long_life)
        known = [crowd.expected()]
        stopping = threading.Event()

        def change(known: list[dict[str, str]], stopping: threading.Event) -> None:
            while not stopping.is_set():
                known.append(crowd.turn(3))

        thread = threading.Thread(target=change, args=(known, stopping))
        thread.start()
        time.sleep(chance.random() * 1.5)
        killed = agent(node)
        node.run("sh", "-c", f"kill -9 {killed}")
        found = node.peers()
        stopping.set()
        thread.join()
        # What the node has was read while blocks were made: it is one of them, and none before this round.
        assert found in known, "the list of no block"
        deadline = time.monotonic() + _mended_within
        while node.peers() != crowd.expected():
            late = time.monotonic() > deadline
            assert not late, f"the peers are not those of the head: {node.container.logs(tail=20).decode()}"
            time.sleep(0.1)
        assert agent(node) != killed
        print(f"{number} kills", flush=True)


def test_an_agent_that_is_killed_loses_nobody(make_node: Callable[..., Node], chain: Chain) -> None:
    kill_again_and_again(make_node, chain, 3)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_two_hundred_kills(make_node: Callable[..., Node], chain: Chain) -> None:
    kill_again_and_again(make_node, chain, 200)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_half_an_hour_of_changes(
    make_node: Callable[..., Node], make_client: Callable[[], Client], chain: Chain, networks: Networks
) -> None:
    """SOAK_SECONDS (1800) and SOAK_CHANGES (100000) say how long and how much."""
    seconds, changes = float(os.environ.get("SOAK_SECONDS", 1800)), int(os.environ.get("SOAK_CHANGES", 100_000))
    crowd = Crowd(chain, size=100)  # more registrations would not fit into one block
    node, client = make_node(LOG_LEVEL="warning", **follows), make_client()
    member = chain.join(client.public_key)
    crowd.others[member.key] = chain.list().peers[member.key]
    client.connect(tunnel(node, networks, crowd.others[member.key]))
    each = changes / seconds

    def follow_for(span: float) -> int:
        """A block a second, and what a busy machine left undone with the next ones."""
        made, began = 0, time.monotonic()
        while (passed := time.monotonic() - began) < span:
            count = min(max(int(each * (passed + 1)) - made, 1), per_block)
            crowd.turn(count)
            made += count
            time.sleep(max(passed + 1 - (time.monotonic() - began), 0))
        return made

    def figures() -> tuple[float, int]:
        pid = agent(node)
        status = node.run("cat", f"/proc/{pid}/status")
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        return resident / 1024, len(node.run("ls", f"/proc/{pid}/fd").split())

    for _ in range(600):  # what a node remembers of blocks and receipts has an end, and is full by then
        crowd.turn(1)
    follow_for(60)  # audits take place
    memory, descriptors = figures()
    client.start_ping(node_address(tunnel_subnet), 0.1)
    made = follow_for(seconds)
    sent, received = client.stop_ping()
    deadline = time.monotonic() + _mended_within
    while node.peers() != crowd.expected():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    after, open_then = figures()
    print(f"{made} changes in {seconds:g} s; {received} of {sent} pings; {memory:.1f} -> {after:.1f} MiB")
    assert received / sent >= 0.999
    assert (after - memory) / (made / 10_000) < 1
    assert abs(open_then - descriptors) <= 2
    assert node.call("GET", "/health").status_code == 200


def test_the_crowd_is_who_the_seed_says(chain: Chain) -> None:
    """The two ways of telling who is there agree, or the tests above would compare nothing."""
    crowd = Crowd(chain, size=5)
    crowd.turn(2)
    assert crowd.expected() == chain.list().peers
