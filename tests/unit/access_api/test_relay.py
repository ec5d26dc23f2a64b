"""What the relay says to what a contract says, and when it does not even ask."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from berth.access.api import errors
from berth.access.api.errors import Refused, from_contract
from berth.access.api.metrics import ApiMetrics
from berth.access.api.relay import Rates, Relay
from berth.chain.artifacts import load
from berth.chain.dev import Wallet, fresh_public_key
from berth.chain.endpoint import Endpoint
from berth.chain.errors import TransactionFailed
from berth.chain.key_registry import KeyRegistry
from berth.chain.transactions import Receipt, Sender, TooDear

nowhere = Endpoint("http://127.0.0.1:9", 31337)
key = fresh_public_key()


@pytest.mark.parametrize("name", sorted(errors._contract_errors))
def test_each_error_told_is_one_of_the_contract(name: str) -> None:
    assert name in {item["name"] for item in load("KeyRegistry").abi if item["type"] == "error"}
    refused = from_contract(TransactionFailed("x", name))
    assert refused.reason in errors.reasons
    assert refused.extra["contractError"] == name
    assert 400 <= refused.status < 500


@pytest.mark.parametrize(
    ("failure", "reason", "status"),
    [
        (TransactionFailed("registerFor was refused: insufficient funds for gas"), "relay-poor", 503),
        (TransactionFailed("x", "NotEnoughGas"), "contract-refused", 409),
        (TransactionFailed("x was mined in block 3 and reverted there (0x1)"), "contract-refused", 409),
        (TransactionFailed("x was not mined within 60 s: is the chain still making blocks?"), "not-mined", 504),
    ],
)
def test_other_failures(failure: TransactionFailed, reason: str, status: int) -> None:
    refused = from_contract(failure)
    assert (refused.reason, refused.status) == (reason, status)


class Scripted(Sender):
    """A sender that does as told, and notes what it was asked."""

    def __init__(self, simulated: Exception | None = None, sent: Exception | None = None) -> None:
        super().__init__(nowhere, Wallet.fresh().key)
        object.__setattr__(self, "asked", [])
        object.__setattr__(self, "faults", {"simulate": simulated, "send": sent})
        object.__setattr__(self, "gate", threading.Event())
        object.__setattr__(self, "held", threading.Event())
        self.gate.set()

    asked: list[str]
    faults: dict[str, Exception | None]
    gate: threading.Event
    held: threading.Event

    def simulate(self, *arguments: Any) -> None:
        self._do("simulate")

    def send(self, *arguments: Any) -> Receipt:
        self._do("send")
        return Receipt("0x1", 1, 100_000, ())

    def _do(self, what: str) -> None:
        self.asked.append(what)
        self.held.set()
        self.gate.wait(5)
        if (fault := self.faults[what]) is not None:
            raise fault


def relay(sender: Sender, each: int = 100, total: int = 100) -> Relay:
    registry = KeyRegistry(nowhere, "0x" + "11" * 20)
    return Relay(registry, sender, Rates(each, total), ApiMetrics(CollectorRegistry()))


def register(through: Relay, wallet: str = "0x" + "22" * 20, token: int = 7) -> str:
    """The transaction, or the reason of the refusal."""
    try:
        return through.register(wallet, token, key, 99, bytes(65)).hash
    except Refused as refused:
        return refused.reason


def test_it_looks_before_it_sends() -> None:
    sender = Scripted(simulated=TransactionFailed("no", "NotHolder"))
    assert register(relay(sender)) == "not-holder"
    assert sender.asked == ["simulate"]


def test_a_pass_has_so_many_registrations_a_day_and_can_always_be_revoked() -> None:
    registry, sender = KeyRegistry(nowhere, "0x" + "11" * 20), Scripted()
    through = Relay(registry, sender, Rates(100, 100, daily=2), ApiMetrics(CollectorRegistry()))
    said = [register(through, wallet=f"0x{number:040x}") for number in range(3)]
    assert said == ["0x1", "0x1", "rate-limited"]
    assert register(through, token=8) == "0x1"
    assert through.revoke("0x" + "22" * 20, 7, 99, bytes(65)).hash == "0x1"


def test_what_is_too_dear_is_not_sent() -> None:
    assert register(relay(Scripted(sent=TooDear("gas costs 900 gwei now")))) == "relay-too-dear"


def test_wallets_and_passes_have_a_rate_each() -> None:
    through = relay(Scripted(), each=2)
    assert [register(through) for _ in range(3)] == ["0x1", "0x1", "rate-limited"]
    assert register(through, wallet="0x" + "33" * 20) == "rate-limited", "the same pass"
    assert register(through, wallet="0x" + "33" * 20, token=8) == "0x1"


def test_somebody_without_the_pass_does_not_use_up_its_rate() -> None:
    sender = Scripted(simulated=TransactionFailed("no", "NotHolder"))
    through = relay(sender, each=2)
    assert [register(through, wallet=f"0x{n:040x}") for n in range(5)] == ["not-holder"] * 5
    sender.faults["simulate"] = None
    assert register(through) == "0x1"


def test_all_together_have_a_rate() -> None:
    through = relay(Scripted(), total=3)
    found = [register(through, f"0x{n:040x}", n) for n in range(5)]
    assert found == ["0x1"] * 3 + ["rate-limited"] * 2


def test_one_at_a_time_for_each_wallet_and_each_pass() -> None:
    sender = Scripted()
    through = relay(sender)
    sender.gate.clear()
    first = threading.Thread(target=register, args=(through,))
    first.start()
    assert sender.held.wait(5)
    assert register(through, token=8) == "relay-busy", "the same wallet: both would use one nonce"
    assert register(through, wallet="0x" + "33" * 20) == "relay-busy", "the same pass"
    sender.gate.set()
    first.join(5)
    assert register(through) == "0x1", "the first is done"


def test_a_failure_leaves_nobody_busy() -> None:
    sender = Scripted(sent=TransactionFailed("no", "KeyTaken"))
    through = relay(sender)
    assert [register(through), register(through)] == ["key-taken", "key-taken"]
