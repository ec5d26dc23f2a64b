"""AccessPass: our own pass collection.  The registry works with any ERC-721; this is what we deploy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from berth.chain import abi
from berth.chain.endpoint import Block, Endpoint, Finality
from berth.chain.errors import NoContract, TransactionFailed
from berth.chain.hashing import keccak

if TYPE_CHECKING:
    from berth.chain.transactions import Receipt, Sender

name: Final = "AccessPass"
_transfer: Final = keccak(b"Transfer(address,address,uint256)")


@dataclass(frozen=True)
class AccessPass:
    """The collection at ``address``."""

    endpoint: Endpoint
    address: str

    def owner_of(self, token: int, block: Block | Finality = "latest") -> str:
        """Who owns the token (EIP-55); CallFailed when there is no such token, NoContract when no contract."""
        data = self.endpoint.call(self.address, abi.encode_call("ownerOf(uint256)", token), block)
        if not data:
            self.endpoint.require_code(self.address, f"the {name}", block)
        return abi.address(data, 0)

    def mint(self, sender: Sender, to: str, expires: int = 0) -> int:
        """Mints a pass to ``to`` and returns its token id; ``expires`` unix seconds, 0 for never."""
        receipt = (
            sender.send(name, self.address, "mintUntil", to, expires)
            if expires
            else sender.send(name, self.address, "mint", to)
        )
        for log in receipt.logs:
            if log.topics[:1] == (_transfer,) and len(log.topics) == 4:
                return int.from_bytes(log.topics[3], "big")
        raise TransactionFailed(f"{name}.mint ({receipt.hash}) reported no token")

    def transfer(self, sender: Sender, to: str, token: int) -> Receipt:
        """Gives the sender's token to ``to``."""
        return sender.send(name, self.address, "transferFrom", sender.address, to, token)

    def expires_at(self, token: int, block: Block | Finality = "latest") -> int:
        """First second at which the pass is over (ERC-5643), unix seconds; 0 for never."""
        return self._number("expiresAt(uint256)", token, block)

    def user_expires(self, token: int, block: Block | Finality = "latest") -> int:
        """First second at which the rental is over (ERC-4907), unix seconds; 0 where there is none."""
        return self._number("userExpires(uint256)", token, block)

    def _number(self, signature: str, token: int, block: Block | Finality) -> int:
        data = self.endpoint.call(self.address, abi.encode_call(signature, token), block)
        if len(data) < abi.word:
            self.endpoint.require_code(self.address, f"the {name}", block)
            raise NoContract(f"the collection at {self.address} does not answer {signature}")
        return abi.uint(data, 0)
