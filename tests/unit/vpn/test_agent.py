"""What a node accepts, what it refuses, and what it comes back with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from berth.access.errors import ChainUnreachable, OlderBlock
from berth.access.model import Block, digest_of, peers_digest
from berth.access.receipt import Receipt
from berth.vpn.errors import CommandFailed, ListRefused, NodeError, RolledBack
from berth.vpn.files import read_lines
from berth.vpn.metrics import NodeMetrics
from berth.vpn.store import Store
from berth.vpn.wireguard import WireGuard
from tests.unit.vpn import fakes
from tests.unit.vpn.fakes import FakeGround, FakeSource, FakeWg, access_list, agent_on, block, key


class Bench:
    """An agent on fakes; ``start`` makes another one on the same volume, as a restart does."""

    def __init__(self, volume: Path, *lists: Any) -> None:
        self.volume, self.source = volume, FakeSource(list(lists))
        self.start()

    def start(self, registry: str = fakes.registry) -> None:
        self.wg, self.ground, self.counts = FakeWg(), FakeGround(), CollectorRegistry()
        metrics = NodeMetrics(self.counts)
        self.agent = agent_on(self.volume, self.wg, self.source, ground=self.ground, metrics=metrics, listens=registry)
        self.agent.start()

    def apply(self, access: Any) -> dict[str, Any]:
        return self.agent.apply(access.digest, access.block)

    @property
    def peers(self) -> dict[str, str]:
        return WireGuard("wg0", self.wg).read().addresses

    def counted(self, result: str) -> float:
        return self.counts.get_sample_value("berth_node_applies_total", {"result": result}) or 0


one, two, other = access_list(10, 1), access_list(20, 1, 2), access_list(30, 2, 3)


def test_a_new_node_has_no_list_and_no_peers(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    state = bench.agent.state()
    assert state["applied"] is None
    assert state["actual"] == {"digest": digest_of(()), "peers": 0}
    assert bench.agent.check() == "no list yet"


def test_a_list_is_applied_kept_and_leaves_a_receipt(tmp_path: Path) -> None:
    bench = Bench(tmp_path, two)
    state = bench.apply(two)
    assert bench.peers == two.peers
    assert state["applied"]["digest"] == state["actual"]["digest"] == two.digest
    assert state["applied"]["block"] == {"number": 20, "hash": two.block.hash}
    assert state["newer"] is False
    assert (state["node"], state["publicKey"], state["endpointPort"]) == ("node-1", key("node"), 51820)
    receipts, _ = read_lines(tmp_path / "receipts.log")
    receipt = Receipt.from_dict(receipts[0])
    assert len(receipts) == 1
    assert receipt.problems(two) == []
    assert receipt.as_dict() == state["applied"]["receipt"]
    assert (tmp_path / "list.json").stat().st_mode & 0o777 == 0o600
    assert bench.counted("applied") == 1


def test_a_restart_brings_the_last_good_list_back_without_a_chain(tmp_path: Path) -> None:
    bench = Bench(tmp_path, two)
    bench.apply(two)
    bench.source.fault = fakes.unreachable
    bench.start()
    assert bench.peers == two.peers
    assert bench.agent.state()["applied"]["digest"] == two.digest


def test_the_same_list_again_is_no_command_and_no_read(tmp_path: Path) -> None:
    bench = Bench(tmp_path, two)
    bench.apply(two)
    bench.source.fault = fakes.unreachable
    done = len(bench.wg.changing)
    assert bench.apply(two)["newer"] is False
    assert len(bench.wg.changing) == done
    assert bench.counted("unchanged") == 1


def test_the_same_list_of_a_later_block_moves_the_block_only(tmp_path: Path) -> None:
    later = access_list(25, 1, 2)
    bench = Bench(tmp_path, two, later)
    bench.apply(two)
    done = len(bench.wg.changing)
    assert bench.apply(later)["applied"]["block"]["number"] == 25
    assert len(bench.wg.changing) == done


def test_a_list_that_the_chain_does_not_give_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path, two)
    bench.apply(two)
    with pytest.raises(ListRefused):
        bench.agent.apply(other.digest, other.block)
    assert bench.peers == two.peers
    assert bench.counted("refused") == 1


def test_another_digest_at_the_block_that_was_applied_is_refused_unread(tmp_path: Path) -> None:
    bench = Bench(tmp_path, two)
    bench.apply(two)
    reads = bench.source.reads
    with pytest.raises(ListRefused, match="gave this node the list"):
        bench.agent.apply(one.digest, two.block)
    assert bench.source.reads == reads


def test_an_older_list_never_replaces_a_newer_one_and_is_reported(tmp_path: Path) -> None:
    bench = Bench(tmp_path, one, two)
    bench.apply(two)
    state = bench.apply(one)
    assert state["newer"] is True
    assert bench.peers == two.peers
    assert state["applied"]["block"]["number"] == 20
    assert bench.counted("newer") == 1


def test_after_a_reorganisation_the_older_block_counts(tmp_path: Path) -> None:
    bench = Bench(tmp_path, two)
    bench.apply(two)
    bench.source.lists = [one]  # block 20 has left the chain
    assert bench.apply(one)["newer"] is False
    assert bench.peers == one.peers


def test_on_a_chain_started_anew_the_older_block_counts(tmp_path: Path) -> None:
    bench = Bench(tmp_path, two)
    bench.apply(two)
    bench.source.lists, bench.source.origin = [one, two], "0xanother"
    bench.apply(one)
    assert bench.peers == one.peers


def test_an_endpoint_that_lags_does_not_undo_a_newer_list(tmp_path: Path) -> None:
    bench = Bench(tmp_path, two)
    bench.apply(two)
    bench.source.fault = OlderBlock("http://chain:8545 has not got to block 20")
    with pytest.raises(OlderBlock):
        bench.apply(one)
    assert bench.peers == two.peers


def test_a_chain_that_is_down_leaves_the_peers_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path, two, other)
    bench.apply(two)
    bench.source.fault = fakes.unreachable
    with pytest.raises(ChainUnreachable):
        bench.apply(other)
    assert bench.peers == two.peers
    assert bench.counted("unreadable") == 1


def test_drift_is_named_and_repaired_even_without_a_chain(tmp_path: Path) -> None:
    bench = Bench(tmp_path, two)
    bench.apply(two)
    bench.wg.peers.pop(key(1))
    bench.wg.add(key("x"), "10.77.0.99/32")
    bench.wg.add(key(2), "10.77.0.3/32,10.0.0.0/8")
    state = bench.agent.state()
    assert state["drift"] == {
        "missing": {key(1): "10.77.0.2", key(2): "10.77.0.3"},
        "extra": {key("x"): "10.77.0.99", key(2): "10.77.0.3/32,10.0.0.0/8"},
    }
    assert state["actual"]["digest"] == peers_digest(bench.peers) != two.digest
    bench.source.fault = fakes.unreachable
    state = bench.apply(two)
    assert state["drift"] == {"missing": {}, "extra": {}}
    assert state["actual"] == {"digest": two.digest, "peers": 2}
    assert bench.peers == two.peers


def test_peers_made_by_hand_on_a_new_node_are_drift(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.wg.add(key("x"), "10.77.0.99/32")
    state = bench.agent.state()
    assert state["drift"]["extra"] == {key("x"): "10.77.0.99"}
    assert state["actual"]["digest"] != digest_of(())


def test_a_change_that_is_rolled_back_leaves_the_volume_as_it_was(tmp_path: Path) -> None:
    bench = Bench(tmp_path, two, other)
    bench.apply(two)
    kept = Store(tmp_path).load()
    refusals = iter([True])

    def before(command: list[str]) -> None:
        if command[1] == "addconf" and next(refusals, False):
            raise CommandFailed("`wg addconf wg0` failed: injected")

    bench.wg.before = before
    with pytest.raises(RolledBack):
        bench.apply(other)
    assert Store(tmp_path).load() == kept
    assert bench.agent.state()["applied"]["digest"] == two.digest
    assert bench.counted("failed") == 1
    bench.apply(other)
    assert bench.peers == other.peers


def test_a_first_list_that_is_rolled_back_leaves_none(tmp_path: Path) -> None:
    bench = Bench(tmp_path, two)
    refusals = iter([True])

    def before(command: list[str]) -> None:
        if command[1] == "addconf" and next(refusals, False):
            raise CommandFailed("injected")

    bench.wg.before = before
    with pytest.raises(RolledBack):
        bench.apply(two)
    assert not (tmp_path / "list.json").exists()


def test_a_node_that_dies_while_it_applies_comes_back_with_the_newer_list(tmp_path: Path) -> None:
    bench = Bench(tmp_path, two, other)
    bench.apply(two)

    class Killed(BaseException):
        pass

    def before(command: list[str]) -> None:
        if command[1] == "addconf":
            raise Killed

    bench.wg.before = before
    with pytest.raises(Killed):
        bench.apply(other)
    bench.start()
    assert bench.peers == other.peers


def test_the_nodes_own_key_in_the_list_stops_nobody(tmp_path: Path) -> None:
    from dataclasses import replace

    entries = (*two.entries, replace(two.entries[0], token=9, key=key("node"), address="10.77.0.10"))
    poisoned = replace(two, entries=entries)
    bench = Bench(tmp_path, poisoned)
    state = bench.apply(poisoned)
    assert bench.peers == two.peers
    assert state["actual"]["digest"] == poisoned.digest
    assert state["drift"] == {"missing": {}, "extra": {}}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"version": 2', '"version": 3'),
        lambda text: text.replace("10.77.0.3", "10.77.0.4"),
        lambda text: text.replace('"block"', '"bloc"'),
        lambda text: "[]",
    ],
)
def test_a_damaged_list_is_set_aside_and_said(tmp_path: Path, spoil: Any) -> None:
    bench = Bench(tmp_path, two)
    bench.apply(two)
    path = tmp_path / "list.json"
    path.write_text(spoil(path.read_text()))
    bench.start()
    assert bench.peers == {}
    with pytest.raises(NodeError, match="damaged"):
        bench.agent.check()
    assert (tmp_path / "list.json.damaged").exists()
    bench.apply(two)
    assert bench.peers == two.peers
    assert bench.agent.check() == "block 20, 2 entries"


def test_a_list_of_another_registry_is_not_restored(tmp_path: Path) -> None:
    bench = Bench(tmp_path, two)
    bench.apply(two)
    bench.start(registry="0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512")
    assert bench.peers == {}


def test_only_so_many_receipts_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("berth.vpn.store.receipts_kept", 3)
    lists = [access_list(number, *range(1, number - 7)) for number in range(9, 17)]
    bench = Bench(tmp_path, *lists)
    for access in lists:
        bench.apply(access)
    kept = [[raw["generation"] for raw in read_lines(tmp_path / f"receipts{old}.log")[0]] for old in (".old", "")]
    assert kept == [[4, 5, 6], [7, 8]]
    bench.start()
    assert [raw["generation"] for raw in bench.agent.receipts(2)] == [8, 7]


def test_a_block_is_named_by_number_and_hash(tmp_path: Path) -> None:
    bench = Bench(tmp_path, two)
    with pytest.raises(ListRefused):
        bench.agent.apply(two.digest, Block(20, block(21).hash))
