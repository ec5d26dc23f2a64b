"""Many passes that change their keys, some in each block, and what the list is after each."""

from __future__ import annotations

from base64 import b64decode

from berth.chain import abi
from berth.chain.dev import fresh_public_key
from berth.chain.seed import Contracts, holder_of, seed
from tests.integration.vpn.conftest import Chain


class Crowd:
    """``size`` passes of a chain that has none yet; ``others``: peers besides them."""

    def __init__(self, chain: Chain, size: int) -> None:
        self._chain, self._next = chain, 0
        self.contracts = Contracts(chain.collection, chain.registry, "")
        seed(chain.endpoint, self.contracts, range(1, size + 1))
        listed = chain.list()
        self._keys = {entry.token: entry.key for entry in listed.entries}
        self._addresses = {entry.token: entry.address for entry in listed.entries}
        self.others: dict[str, str] = {}

    def turn(self, count: int) -> dict[str, str]:
        """The next ``count`` passes get other keys, in one block; the list afterwards."""
        endpoint = self._chain.endpoint
        endpoint.request("anvil_autoImpersonateAccount", True)
        endpoint.request("evm_setAutomine", False)
        try:
            endpoint.request("anvil_setNextBlockBaseFeePerGas", "0x0")
            for _ in range(count):
                self._next = self._next % len(self._keys) + 1
                token, key = self._next, fresh_public_key()
                data = abi.encode_call("register(uint256,bytes32)", token, int.from_bytes(b64decode(key), "big"))
                call = {"from": holder_of(token), "to": self._chain.registry, "gas": hex(400_000), "gasPrice": "0x0"}
                endpoint.request("eth_sendTransaction", {**call, "data": "0x" + data.hex()})
                self._keys[token] = key
            endpoint.request("evm_mine")
        finally:
            endpoint.request("evm_setAutomine", True)
            endpoint.request("anvil_autoImpersonateAccount", False)
        return self.expected()

    def expected(self) -> dict[str, str]:
        """Key -> address of everybody, as the head has it."""
        return {**{key: self._addresses[token] for token, key in self._keys.items()}, **self.others}
