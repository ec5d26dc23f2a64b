"""KeyRegistry over collections that are not ours: the list stays whole for everyone else."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

import pytest
from eth_tester.exceptions import TransactionFailed
from eth_utils.crypto import keccak
from web3.contract import Contract

from tests.unit.contracts.conftest import World
from tests.unit.contracts.evm import ZERO, Evm, Peer, artifact, key, page, peers

ERC721, ERC4907, ERC5643 = (bytes.fromhex(each) for each in ("80ac58cd", "ad092b5c", "8c65f84d"))
GAS_NEEDED = 40_000 * 64 // 63 + 4_000


class Mood(IntEnum):
    """As `HostileCollection.Mood`."""

    HONEST = 0
    REVERT = 1
    REVERT_LOUDLY = 2
    BURN_GAS = 3
    MEGABYTES = 4
    FLOOD = 5
    SHORT = 6
    NOTHING = 7
    HUNGRY = 8


def question(name: str) -> bytes:
    return keccak(text=f"{name}(uint256)")[:4]


OWNER_OF, USER_OF, USER_EXPIRES, EXPIRES_AT = map(question, ("ownerOf", "userOf", "userExpires", "expiresAt"))


def word(value: str | int) -> bytes:
    return (int(value, 16) if isinstance(value, str) else value).to_bytes(32)


class Hostile:
    """A hostile collection with three tokens of alice, all registered, and its registry."""

    def __init__(self, world: World) -> None:
        self.evm, self.alice, self.bob = world.evm, world.alice, world.bob
        self.end = self.evm.now + 10_000
        self.collection = self.evm.deploy("test/HostileCollection", [ERC721, ERC4907, ERC5643])
        self.registry: Contract = self.evm.deploy("KeyRegistry", self.collection.address, True, 0)
        for token in (1, 2, 3):
            self.answer(OWNER_OF, token, word(self.alice))
            self.evm.send(self.registry.functions.register(token, key(token)), self.alice)

    def answer(self, asked: bytes, token: int, first: bytes) -> None:
        self.evm.send(self.collection.functions.answer(asked, token, first), self.alice)

    def turn(self, asked: bytes, token: int, mood: Mood) -> None:
        self.evm.send(self.collection.functions.turn(asked, token, mood), self.alice)

    def listed(self) -> set[int]:
        return set(peers(self.registry))


@pytest.fixture(scope="module")
def hostile_deployed(deployed: World) -> Iterator[Hostile]:
    with deployed.evm.undone():
        made = Hostile(deployed)
        assert made.listed() == {1, 2, 3}
        yield made


@pytest.fixture
def hostile(hostile_deployed: Hostile) -> Iterator[Hostile]:
    with hostile_deployed.evm.undone():
        yield hostile_deployed


UNREADABLE = [Mood.REVERT, Mood.REVERT_LOUDLY, Mood.BURN_GAS, Mood.MEGABYTES, Mood.SHORT, Mood.NOTHING]


@pytest.mark.parametrize("mood", UNREADABLE, ids=lambda mood: mood.name)
@pytest.mark.parametrize("asked", [OWNER_OF, USER_OF, EXPIRES_AT], ids=["ownerOf", "userOf", "expiresAt"])
def test_an_unreadable_answer_hurts_its_own_token_only(hostile: Hostile, asked: bytes, mood: Mood) -> None:
    hostile.turn(asked, 2, mood)
    assert hostile.listed() == {1, 3}
    hostile.turn(asked, 2, Mood.HONEST)
    assert hostile.listed() == {1, 2, 3}


@pytest.mark.parametrize("mood", UNREADABLE, ids=lambda mood: mood.name)
def test_an_unreadable_term_hurts_its_own_token_only(hostile: Hostile, mood: Mood) -> None:
    for token in (1, 2):
        hostile.answer(USER_OF, token, word(hostile.bob))
        hostile.answer(USER_EXPIRES, token, word(hostile.end))
        hostile.evm.send(hostile.registry.functions.register(token, key(token + 10)), hostile.bob)
    assert hostile.listed() == {1, 2, 3}
    hostile.turn(USER_EXPIRES, 2, mood)
    assert hostile.listed() == {1, 3}
    assert hostile.registry.functions.holderOf(2).call() == ZERO


def test_only_the_first_word_of_an_answer_is_read(hostile: Hostile) -> None:
    for asked in (OWNER_OF, USER_OF, EXPIRES_AT):
        hostile.turn(asked, 2, Mood.FLOOD)
    assert hostile.listed() == {1, 2, 3}


@pytest.mark.parametrize(
    ("asked", "lie"),
    [
        (OWNER_OF, 0),
        (OWNER_OF, "dirty"),
        (OWNER_OF, 2**256 - 1),
        (OWNER_OF, 0xB0B),
        (USER_OF, "dirty"),
        (EXPIRES_AT, 1),
        (EXPIRES_AT, 2**64),
        (EXPIRES_AT, 2**256 - 1),
    ],
    ids=lambda value: {OWNER_OF: "ownerOf", USER_OF: "userOf", EXPIRES_AT: "expiresAt"}.get(value, str(value)),
)
def test_a_lie_hurts_its_own_token_only(hostile: Hostile, asked: bytes, lie: int | str) -> None:
    hostile.answer(asked, 2, word(2**200 + int(hostile.alice, 16) if isinstance(lie, str) else lie))
    assert hostile.listed() == {1, 3}


def test_a_user_whose_term_the_collection_does_not_end(hostile: Hostile) -> None:
    hostile.answer(USER_OF, 2, word(hostile.bob))
    hostile.answer(USER_EXPIRES, 2, word(hostile.end))
    assert hostile.registry.functions.holderOf(2).call() == hostile.bob
    hostile.evm.travel(hostile.end)
    assert hostile.registry.functions.holderOf(2).call() == hostile.alice
    assert hostile.listed() == {1, 2, 3}


@pytest.mark.parametrize(("end", "reported"), [(2**64 - 1, 2**64 - 1), (2**64, 0), (2**256 - 1, 0)])
def test_a_term_without_end(hostile: Hostile, end: int, reported: int) -> None:
    hostile.answer(USER_OF, 2, word(hostile.bob))
    hostile.answer(USER_EXPIRES, 2, word(end))
    hostile.evm.send(hostile.registry.functions.register(2, key(12)), hostile.bob)
    assert peers(hostile.registry)[2].expires == reported


@pytest.mark.parametrize("mood", UNREADABLE, ids=lambda mood: mood.name)
def test_registering_with_an_unreadable_collection_is_refused(hostile: Hostile, mood: Mood) -> None:
    register = hostile.registry.functions.register(2, key(9))
    hostile.turn(EXPIRES_AT, 2, mood)
    assert hostile.evm.refusal(register, hostile.alice) == ("ExpiryUnreadable", 2)
    hostile.turn(OWNER_OF, 2, mood)
    assert hostile.evm.refusal(register, hostile.alice) == ("NotHolder", 2, hostile.alice, ZERO)
    hostile.registry.functions.register(1, key(9)).call({"from": hostile.alice})  # the others are served


def test_many_gas_burners_only_shorten_the_page(world: World) -> None:
    evm, alice = world.evm, world.alice
    collection = evm.deploy("test/HostileCollection", [ERC721])
    registry = evm.deploy("KeyRegistry", collection.address, False, 0)
    count = 20
    for token in range(count):
        evm.send(collection.functions.answer(OWNER_OF, token, word(alice)), alice)
        evm.send(registry.functions.register(token, key(token)), alice)
        if token != count - 1:
            evm.send(collection.functions.turn(OWNER_OF, token, Mood.BURN_GAS), alice)
    gas = 22_000 + (count - 1) * 50_000 + GAS_NEEDED
    found = registry.functions.activePeers(0, 100).call({"gas": gas})[0]
    assert [peer[0] for peer in found] == [count - 1]


def test_too_little_gas_never_reads_as_not_entitled(hostile: Hostile) -> None:
    whole = page(hostile.registry)
    outcomes = set()
    for gas in [*range(30_000, 200_000, 5_000), *range(100_000, 110_000, 500)]:
        call = hostile.registry.functions.activePeers(0, 10)
        try:
            answer = call.call({"gas": gas})
        except TransactionFailed:
            outcomes.add(hostile.evm.refusal(call, gas=gas)[0] or "out of gas")
        else:
            assert [Peer(*peer) for peer in answer[0]] == list(whole.peers), gas
            outcomes.add("whole")
    assert outcomes >= {"NotEnoughGas", "whole"}


def test_an_answer_that_needs_all_its_gas_gets_it_or_the_page_fails(hostile: Hostile) -> None:
    for token in (1, 2, 3):
        hostile.turn(EXPIRES_AT, token, Mood.HUNGRY)
    whole = page(hostile.registry)
    assert {peer.token for peer in whole.peers} == {1, 2, 3}
    call = hostile.registry.functions.activePeers(0, 10)
    failed, worked = 21_000, 400_000
    while worked - failed > 1:  # the least gas that is not refused
        gas = (failed + worked) // 2
        try:
            answer = call.call({"gas": gas})
        except TransactionFailed:
            failed = gas
        else:
            worked = gas
            assert [Peer(*peer) for peer in answer[0]] == list(whole.peers), gas
    assert hostile.evm.refusal(call, gas=failed)[0] == "NotEnoughGas"


def test_too_little_gas_frees_nobody_s_binding(hostile: Hostile) -> None:
    for function, by, expected in (
        (hostile.registry.functions.reclaim(1), hostile.bob, "BindingCounts"),
        (hostile.registry.functions.register(2, key(1)), hostile.alice, "KeyTaken"),
    ):
        outcomes = {hostile.evm.refusal(function, by, gas=gas)[0] for gas in range(22_000, 220_000, 6_000)}
        assert outcomes == {"", "NotEnoughGas", expected}  # "" is plain out of gas


@pytest.mark.filterwarnings("ignore:SELFDESTRUCT:DeprecationWarning")
def test_a_collection_that_is_gone_leaves_an_empty_list_that_answers(evm: Evm) -> None:
    code = bytes.fromhex(artifact("KeyRegistry")["bytecode"][2:])
    vanishing = evm.deploy("test/VanishingCollection", code, key(1))
    registry = evm.at(vanishing.functions.registry().call(), "KeyRegistry")
    assert evm.w3.eth.get_code(registry.functions.collection().call()) == b""
    found = page(registry)
    assert (found.peers, found.next, found.total) == ((), 1, 1)
    evm.send(registry.functions.reclaim(1), evm.accounts[0])


def test_a_burnt_token_has_no_holder(world: World) -> None:
    evm, alice = world.evm, world.alice
    plain = evm.deploy("test/PlainCollection")
    registry = evm.deploy("KeyRegistry", plain.address, False, 0)
    for token in (1, 2):
        evm.send(plain.functions.mint(alice, token), alice)
        evm.send(registry.functions.register(token, key(token)), alice)
    evm.send(plain.functions.burn(1), alice)
    assert set(peers(registry)) == {2}
    evm.send(registry.functions.reclaim(1), alice)


def test_what_a_collection_lacks_is_not_asked_for(world: World) -> None:
    plain = world.evm.deploy("test/PlainCollection")
    registry = world.evm.deploy("KeyRegistry", plain.address, False, 7)
    settings = ("rentable", "expiring", "delegates", "quarantine", "collection")
    assert [registry.functions[name]().call() for name in settings] == [False, False, False, 7, plain.address]
    assert [world.registry.functions[name]().call() for name in settings[:3]] == [True, True, True]


def test_what_is_no_collection_is_refused(world: World) -> None:
    nobody, wallet = world.alice, world.evm.deploy("test/SmartWallet", world.alice).address
    assert world.evm.deploy_refusal("KeyRegistry", nobody, True, 0) == ("CollectionHasNoCode", nobody)
    assert world.evm.deploy_refusal("KeyRegistry", wallet, True, 0) == ("NotERC721", wallet)
