"""KeyRegistry: which pass has which WireGuard key.  Reading needs keccak only, writing imports web3."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Final, Literal

from berth.chain import abi
from berth.chain.endpoint import Block, Endpoint, Finality
from berth.chain.errors import NoContract, WrongChain
from berth.chain.hashing import checksum_address, keccak

if TYPE_CHECKING:
    from berth.chain.transactions import Receipt, Sender

name: Final = "KeyRegistry"
_active_peers: Final = "activePeers(uint256,uint256)"
_peers_of: Final = "peersOf(uint256[])"
_head: Final = 5 * abi.word  # offset of the rows, next, total, checksum, chain id
# One row of Peer: tokenId, holder (20 bytes after 12 zero bytes), publicKey, slot, expires; each in a word of 32 bytes.
_row: Final = Struct(">32s12s20s32s28sL24sQ")
_zero12, _zero24, _zero28 = bytes(12), bytes(24), bytes(28)


class MalformedPage(Exception):
    """What came back does not decode as a page, or not to its own checksum; the message says why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One active binding: ``holder`` EIP-55 address, ``key`` base64, ``slot`` from 1, ``expires`` unix seconds or 0."""

    token: int
    holder: str
    key: str
    slot: int
    expires: int


@dataclass(frozen=True)
class Page:
    """Rows [cursor, next) of ``total`` binding rows, those that count."""

    peers: tuple[Peer, ...]
    next: int
    total: int
    chain_id: int


def key_bytes(key: str) -> bytes:
    """The 32 bytes of a WireGuard public key in base64; ValueError when it is none."""
    raw = b64decode(key, validate=True)
    if len(raw) != 32:
        raise ValueError(f"{key!r} has {len(raw)} bytes: a WireGuard public key has 32")
    return raw


@dataclass(frozen=True)
class KeyRegistry:
    """The registry at ``address``; writers take the :class:`~berth.chain.transactions.Sender` who signs."""

    endpoint: Endpoint
    address: str

    def active_peers(self, cursor: int, limit: int, block: Block | Finality = "latest") -> Page:
        """Rows [cursor, cursor + limit) at one block, in one call.

        Errors: NoContract when nothing (of ours) is there, MalformedPage when the answer contradicts
        itself, and the endpoint's.
        """
        data = self.endpoint.call(self.address, abi.encode_call(_active_peers, cursor, limit), block)
        if not data:
            self.endpoint.require_code(self.address, f"the {name}", block)
            raise NoContract(
                f"the contract at {self.address} on chain {self.endpoint.chain_id} answers activePeers with nothing: "
                f"it is not a {name}"
            )
        return decode_page(data)

    def peers_of(self, tokens: Sequence[int], block: Block | Finality = "latest") -> tuple[Peer, ...]:
        """The bindings that count among these passes, in the order asked for, in one call.

        Errors: NoContract, MalformedPage, WrongChain, and the endpoint's.
        """
        data = self.endpoint.call(self.address, abi.encode_call(_peers_of, abi.word, len(tokens), *tokens), block)
        if not data:
            self.endpoint.require_code(self.address, f"the {name}", block)
        peers, chain_id = decode_peers(data)
        if chain_id != self.endpoint.chain_id:
            raise WrongChain(f"{self.endpoint.url} serves chain {chain_id}, not chain {self.endpoint.chain_id}")
        return peers

    def nonce(self, holder: str) -> int:
        """The nonce that the holder's next signature must carry."""
        return self._number("nonces(address)", int(holder, 16))

    def collection(self) -> str:
        """The collection whose tokens are the passes (EIP-55)."""
        return self._address("collection()")

    def flag(self, which: Literal["delegates", "rentable", "expiring"]) -> bool:
        """Whether holders may name delegates, and whether the collection has ERC-4907 users, ERC-5643 expiry."""
        return bool(self._number(f"{which}()"))

    def holder_of(self, token: int, block: Block | Finality = "latest") -> str:
        """Who is entitled to a pass, its live user or else its owner; the zero address when nobody is."""
        return self._address("holderOf(uint256)", token, block=block)

    def delegate_of(self, token: int, block: Block | Finality = "latest") -> str:
        """Whom the holder named as delegate; the zero address for nobody."""
        return self._address("delegateOf(uint256)", token, block=block)

    def slot_of(self, token: int, block: Block | Finality = "latest") -> int:
        """The slot of a pass's binding, whether it counts or not; 0 without a binding."""
        return self._number("slotOf(uint256)", token, block=block)

    def token_of(self, key: str, block: Block | Finality = "latest") -> int | None:
        """The pass that a WireGuard public key (base64) is bound to, whether that counts or not; None for none."""
        data = self._words("tokenOf(bytes32)", 2, int.from_bytes(key_bytes(key), "big"), block=block)
        return abi.uint(data, abi.word) if abi.uint(data, 0) else None

    def register(self, sender: Sender, token: int, key: str) -> Receipt:
        """Binds the sender's pass to a WireGuard public key (base64)."""
        return self._send(sender, "register", token, key_bytes(key))

    def register_for(
        self, sender: Sender, token: int, key: str, holder: str, deadline: int, signature: bytes
    ) -> Receipt:
        """Binds the holder's pass with the holder's signature (:mod:`berth.chain.eip712`); the sender pays."""
        return self._send(sender, "registerFor", token, key_bytes(key), holder, deadline, signature)

    def revoke(self, sender: Sender, token: int) -> Receipt:
        """Ends the sender's binding."""
        return self._send(sender, "revoke", token)

    def revoke_for(self, sender: Sender, token: int, holder: str, deadline: int, signature: bytes) -> Receipt:
        """Ends the holder's binding with the holder's signature (:mod:`berth.chain.eip712`); the sender pays."""
        return self._send(sender, "revokeFor", token, holder, deadline, signature)

    def reclaim(self, sender: Sender, token: int) -> Receipt:
        """Frees the slot of a binding that no longer counts; anyone may."""
        return self._send(sender, "reclaim", token)

    def _send(self, sender: Sender, function: str, *arguments: object) -> Receipt:
        return sender.send(name, self.address, function, *arguments)

    def _number(self, signature: str, *numbers: int, block: Block | Finality = "latest") -> int:
        return abi.uint(self._words(signature, 1, *numbers, block=block), 0)

    def _address(self, signature: str, *numbers: int, block: Block | Finality = "latest") -> str:
        return abi.address(self._words(signature, 1, *numbers, block=block), 0)

    def _words(self, signature: str, count: int, *numbers: int, block: Block | Finality) -> bytes:
        data = self.endpoint.call(self.address, abi.encode_call(signature, *numbers), block)
        if len(data) != count * abi.word:
            self.endpoint.require_code(self.address, f"the {name}", block)
            raise NoContract(f"the contract at {self.address} does not answer {signature}: it is not a {name}")
        return data


def decode_page(data: bytes) -> Page:
    """The return data of ``activePeers``; by hand: the checksum is over the bytes as they came, and
    eth_abi takes 0.2 s to import (and 19 ms for 1,000 rows where this takes 11)."""
    try:
        offset, following, total, checksum, chain_id = (
            abi.uint(data, position) for position in range(0, _head, abi.word)
        )
        count = abi.uint(data, _head)
    except ValueError as error:
        raise MalformedPage(f"truncated: {error}") from None
    return Page(_rows(data, _head, offset, count, checksum), following, total, chain_id)


def decode_peers(data: bytes) -> tuple[tuple[Peer, ...], int]:
    """The return data of ``peersOf``: the peers and the chain's id; MalformedPage as for :func:`decode_page`."""
    head = 3 * abi.word
    try:
        offset, checksum, chain_id = (abi.uint(data, position) for position in range(0, head, abi.word))
        count = abi.uint(data, head)
    except ValueError as error:
        raise MalformedPage(f"truncated: {error}") from None
    return _rows(data, head, offset, count, checksum), chain_id


def _rows(data: bytes, head: int, offset: int, count: int, checksum: int) -> tuple[Peer, ...]:
    rows = head + abi.word
    if offset != head or len(data) - rows != count * _row.size:
        raise MalformedPage(f"truncated: {count} rows announced, {len(data) - rows} bytes of rows of {_row.size} bytes")
    # What the contract hashed: abi.encode(peers) is an offset of one word, then the length and the rows.
    if keccak(abi.word.to_bytes(abi.word, "big") + data[head:]) != checksum.to_bytes(abi.word, "big"):
        raise MalformedPage("the rows do not have the checksum that the contract computed over them")
    return tuple(map(_peer, _row.iter_unpack(data[rows:])))


def _peer(row: tuple[bytes, bytes, bytes, bytes, bytes, int, bytes, int]) -> Peer:
    token, zeros12, holder, key, zeros28, slot, zeros24, expires = row
    if zeros12 != _zero12 or zeros28 != _zero28 or zeros24 != _zero24:
        raise MalformedPage(f"the row of token {int.from_bytes(token, 'big')} is wider than its types")
    return Peer(int.from_bytes(token, "big"), checksum_address(holder), b64encode(key).decode(), slot, expires)
