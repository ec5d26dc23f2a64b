"""A JSON-RPC endpoint of one chain: bounded in time and size, counted, with errors that say what to do.

Safe to share between threads.  Block parameters are EIP-1898 objects, so that every call of one read is
answered for the same block, whatever is mined meanwhile.  Source: the Ethereum JSON-RPC specification.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import urllib3

from berth.chain.errors import AnswerTooLarge, BlockGone, CallFailed, ChainUnreachable, NoContract, WrongChain
from berth.chain.hashing import normalize_address

Finality = Literal["latest", "safe", "finalized"]

response_limit: Final = 64 * 2**20  # bytes; 1,000 rows of a list are 0.3 MiB
_chunk: Final = 2**16
_brackets: Final = 10_000  # in one answer; blocks and receipts have some dozens
_said: Final = 500  # characters of an endpoint's own words that a message shows
_secret: Final = re.compile(r"[A-Za-z0-9_-]{16,}")
_too_often: Final = re.compile(r"rate.?limit|too many requests", re.IGNORECASE)
_hash: Final = re.compile(r"0x[0-9a-f]{64}")
_block_gone: Final = re.compile(
    r"(header|block|resource|state|trie node)[^.]*(not found|missing|unknown|not available|out ?of ?range)"
    r"|(unknown|missing|pruned|no) (block|header|state|trie node)|blockoutofrange"
    r"|not (currently )?canonical|historical state",
    re.IGNORECASE,
)


def shown_url(url: str) -> str:
    """A URL as logs, metrics and messages may hold it: without user, query and whatever in its path may be a key."""
    parts = urlsplit(url)
    path = "/".join("..." if _secret.fullmatch(part) else part for part in parts.path.split("/"))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}" + ("?..." if parts.query else "")


@dataclass(frozen=True)
class Block:
    """A block by number and hash (``0x`` and 64 lower-case hex digits)."""

    number: int
    hash: str

    def __post_init__(self) -> None:
        # As wide as the Ethereum clients have it; a wider one could not even be printed everywhere.
        if not 0 <= self.number < 2**64 or not _hash.fullmatch(self.hash):
            raise ValueError(f"not a block: number {self.number:#x}, hash {self.hash!r}")

    @property
    def parameter(self) -> dict[str, Any]:
        """The EIP-1898 block parameter: exactly this block, and only while it is canonical."""
        return {"blockHash": self.hash, "requireCanonical": True}

    def __str__(self) -> str:
        return f"{self.number} ({self.hash[:10]})"


@dataclass(frozen=True)
class Header:
    """A block with the hash of the one before it and its ``timestamp`` (UNIX seconds, the chain's clock)."""

    block: Block
    parent: str
    timestamp: int

    @classmethod
    def parse(cls, found: Any) -> Header:
        """What JSON-RPC and ``newHeads`` give; ValueError where it is no header."""
        try:
            block = Block(int(found["number"], 16), str(found["hash"]).lower())
            return cls(block, str(found["parentHash"]).lower(), int(found["timestamp"], 16))
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a block's header: {type(error).__name__} {error}") from None


@dataclass(frozen=True)
class TimeLimits:
    """Seconds: to connect, and for one call from its first byte sent to its last one received."""

    connect: float = 3.0
    call: float = 15.0


class Endpoint:
    """One JSON-RPC URL that must serve chain ``chain_id``; ``url`` is how it is shown, see :func:`shown_url`.

    Errors: ChainUnreachable (no, late, or no JSON-RPC answer), CallFailed (the endpoint refused),
    BlockGone (it cannot answer for the block asked for), WrongChain.
    """

    def __init__(self, url: str, chain_id: int, limits: TimeLimits | None = None) -> None:
        self.url, self.target, self.chain_id = shown_url(url), url, chain_id
        self.limits = limits or TimeLimits()
        # No retries here: whoever calls knows whether waiting makes sense, and for how long.
        self._pool = urllib3.PoolManager(maxsize=4, retries=False)
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._calls = 0
        self._chain_checked = False

    @property
    def calls(self) -> int:
        """How many JSON-RPC calls were sent so far."""
        return self._calls

    def request(self, method: str, *params: Any) -> Any:
        """The ``result`` of one call."""
        with self._lock:
            self._calls += 1
        answer = self._post(method, {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params})
        if "error" in answer:
            raise self._refusal(method, answer["error"])
        if "result" not in answer:
            raise ChainUnreachable(
                f"{self.url} answered {method} with neither result nor error: is it a JSON-RPC endpoint?"
            )
        return answer["result"]

    def check_chain(self) -> None:
        """WrongChain unless the endpoint serves the chain that is set; asks once."""
        if self._chain_checked:
            return
        found = _number(self.request("eth_chainId"), "eth_chainId", self.url)
        if found != self.chain_id:
            raise WrongChain(
                f"{self.url} serves chain {found}, but the stack is set to chain {self.chain_id}: "
                "correct berth:chain.rpcUrl or berth:chain.chainId"
            )
        self._chain_checked = True

    def block(self, at: Finality | int | str = "latest") -> Block:
        """The block at a tag, a number, or a hash; BlockGone when there is none."""
        found, method = self._block(at)
        number = _number(found.get("number"), method, self.url)
        try:
            return Block(number, str(found.get("hash")).lower())
        except ValueError as error:
            raise ChainUnreachable(f"{self.url} answered {method} with {_printable(str(error))}") from None

    def header(self, at: Finality | int | str = "latest") -> Header:
        """The header of the block at a tag, a number, or a hash; BlockGone when there is none."""
        found, method = self._block(at)
        try:
            return Header.parse(found)
        except ValueError as error:
            raise ChainUnreachable(f"{self.url} answered {method} with {_printable(str(error))}") from None

    def _block(self, at: Finality | int | str) -> tuple[dict[str, Any], str]:
        by_hash = isinstance(at, str) and at.startswith("0x")
        method = "eth_getBlockByHash" if by_hash else "eth_getBlockByNumber"
        found = self.request(method, hex(at) if isinstance(at, int) else at, False)
        if found is None:
            raise BlockGone(f"{self.url} has no block {at}")
        if not isinstance(found, dict):
            raise ChainUnreachable(f"{self.url} answered {method} with no block: is it a JSON-RPC endpoint?")
        return found, method

    def call(self, to: str, data: bytes, block: Block | Finality = "latest") -> bytes:
        """``eth_call`` of ``to`` with ``data``; empty bytes where there is no code."""
        where = block.parameter if isinstance(block, Block) else block
        return _bytes(self.request("eth_call", {"to": to, "data": "0x" + data.hex()}, where), "eth_call", self.url)

    def code(self, address: str, block: Block | Finality = "latest") -> bytes:
        """The code at ``address``, empty where there is none."""
        where = block.parameter if isinstance(block, Block) else block
        return _bytes(self.request("eth_getCode", address, where), "eth_getCode", self.url)

    def require_code(self, address: str, what: str, block: Block | Finality = "latest") -> None:
        """NoContract, naming address and chain, unless there is code; WrongChain when that explains it."""
        if self.code(address, block):
            return
        self.check_chain()
        raise NoContract(
            f"there is no contract at {normalize_address(address)} on chain {self.chain_id} ({self.url}), where "
            f"{what} should be: if the chain was started anew, `pulumi refresh` notices it, and the next `pulumi up` "
            "deploys the contract again"
        )

    def _post(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        deadline = time.monotonic() + self.limits.call
        try:
            response = self._pool.request(
                "POST",
                self.target,
                body=json.dumps(body).encode(),
                headers={"Content-Type": "application/json"},
                timeout=urllib3.Timeout(connect=self.limits.connect, read=self.limits.call),
                preload_content=False,
                # Nothing compressed was asked for: what unpacks to gigabytes is not unpacked.
                decode_content=False,
            )
            try:
                raw = self._read(response, deadline, method)
            except BaseException:
                response.close()  # half read: nobody may get this connection from the pool
                raise
            response.release_conn()
        except urllib3.exceptions.NewConnectionError as error:
            raise ChainUnreachable(self._unreachable(error)) from None
        except (urllib3.exceptions.TimeoutError, TimeoutError):
            raise ChainUnreachable(
                f"{self.url} did not answer {method} within {self.limits.call:g} s: is the chain overloaded or stopped?"
            ) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ChainUnreachable(self._unreachable(error)) from None
        if response.status == 429:
            raise ChainUnreachable(f"{self.url} does not answer {method} now: it is asked too often (HTTP 429)")
        # The parser recurses: deep enough, it ends the process, whatever Python's own limit says.
        if raw.count(b"[") + raw.count(b"{") > _brackets:
            raise AnswerTooLarge(
                f"{self.url} answered {method} with more than {_brackets} lists and objects: is it a JSON-RPC endpoint?"
            )
        try:
            answer = json.loads(raw)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise ChainUnreachable(
                f"{self.url} answered {method} with HTTP {response.status} and no JSON-RPC: is it a JSON-RPC endpoint?"
            )
        if response.status != 200 and "error" not in answer:
            raise ChainUnreachable(f"{self.url} answered {method} with HTTP {response.status}")
        return answer

    def _unreachable(self, error: Exception) -> str:
        reason = str(error).rsplit(": ", 1)[-1] or type(error).__name__
        return f"{self.url} cannot be reached ({reason}): is the chain running there?"

    def _read(self, response: urllib3.BaseHTTPResponse, deadline: float, method: str) -> bytes:
        """The whole body: the deadline holds for all of it, an endpoint that drips cannot stretch it."""
        parts, size = [], 0
        while part := response.read1(_chunk, decode_content=False):
            parts.append(part)
            size += len(part)
            if time.monotonic() > deadline:
                raise TimeoutError
            if size > response_limit:
                raise AnswerTooLarge(f"{self.url} answered {method} with more than {response_limit >> 20} MiB")
        return b"".join(parts)

    def _refusal(self, method: str, error: Any) -> BlockGone | CallFailed | ChainUnreachable:
        details = error if isinstance(error, dict) else {"message": str(error)}
        message, data = _printable(str(details.get("message", ""))), details.get("data", "")
        code = details.get("code", 0)
        if _block_gone.search(message):
            return BlockGone(f"{self.url} cannot answer {method} for that block: {message}")
        if _too_often.search(message):
            # Nothing of the question is wrong: another endpoint may answer it, or this one later.
            return ChainUnreachable(f"{self.url} does not answer {method} now: {message}")
        return CallFailed(
            f"{self.url} refused {method}: {message}",
            code if isinstance(code, int) else 0,
            data if isinstance(data, str) else "",
        )


def _number(value: Any, method: str, url: str) -> int:
    try:
        return int(value, 16)
    except (TypeError, ValueError):
        raise ChainUnreachable(f"{url} answered {method} with {_printable(repr(value))}, not a number") from None


def _printable(text: str) -> str:
    """What somebody else's endpoint says, fit for a terminal and for one line of a log."""
    shown = "".join(c if c.isprintable() else " " for c in text[:_said])
    return shown + ("..." if len(text) > _said else "")


def _bytes(value: Any, method: str, url: str) -> bytes:
    try:
        return bytes.fromhex(value.removeprefix("0x"))
    except (AttributeError, TypeError, ValueError):
        raise ChainUnreachable(f"{url} answered {method} with something else than hex bytes") from None
