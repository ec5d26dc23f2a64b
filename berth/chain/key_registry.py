"""KeyRegistry: which pass has which WireGuard key.  Reading needs keccak only, writing imports web3."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Final

from berth.chain import abi
from berth.chain.endpoint import Block, Endpoint, Finality
from berth.chain.errors import NoContract
from berth.chain.hashing import checksum_address, keccak

if TYPE_CHECKING:
    from berth.chain.transactions import Receipt, Sender

name: Final = "KeyRegistry"
_active_peers: Final = "activePeers(uint256,uint256)"
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

    def nonce(self, holder: str) -> int:
        """The nonce that the holder's next signature must carry."""
        return self._number("nonces(address)", int(holder, 16))

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

    def reclaim(self, sender: Sender, token: int) -> Receipt:
        """Frees the slot of a binding that no longer counts; anyone may."""
        return self._send(sender, "reclaim", token)

    def _send(self, sender: Sender, function: str, *arguments: object) -> Receipt:
        return sender.send(name, self.address, function, *arguments)

    def _number(self, signature: str, *numbers: int) -> int:
        data = self.endpoint.call(self.address, abi.encode_call(signature, *numbers))
        if len(data) != abi.word:
            self.endpoint.require_code(self.address, f"the {name}")
            raise NoContract(f"the contract at {self.address} does not answer {signature}: it is not a {name}")
        return abi.uint(data, 0)


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
    rows = _head + abi.word
    if offset != _head or len(data) - rows != count * _row.size:
        raise MalformedPage(f"truncated: {count} rows announced, {len(data) - rows} bytes of rows of {_row.size} bytes")
    # What the contract hashed: abi.encode(peers) is an offset of one word, then the length and the rows.
    if keccak(abi.word.to_bytes(abi.word, "big") + data[_head:]) != checksum.to_bytes(abi.word, "big"):
        raise MalformedPage("the rows do not have the checksum that the contract computed over them")
    return Page(tuple(map(_peer, _row.iter_unpack(data[rows:]))), following, total, chain_id)


def _peer(row: tuple[bytes, bytes, bytes, bytes, bytes, int, bytes, int]) -> Peer:
    token, zeros12, holder, key, zeros28, slot, zeros24, expires = row
    if zeros12 != _zero12 or zeros28 != _zero28 or zeros24 != _zero24:
        raise MalformedPage(f"the row of token {int.from_bytes(token, 'big')} is wider than its types")
    return Peer(int.from_bytes(token, "big"), checksum_address(holder), b64encode(key).decode(), slot, expires)
