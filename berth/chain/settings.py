"""Which chain, from the ``berth:chain`` object of the stack's configuration; the defaults stand here only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from berth.chain.endpoint import Endpoint, Finality, TimeLimits
from berth.chain.errors import SettingError

Mode = Literal["local", "external"]

default_rpc_url: Final = "http://127.0.0.1:8545"
default_rpc_port: Final = 8545
default_chain_id: Final = 31337
local_deployer_key: Final = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""The first account of every Anvil: published, so good for a local chain and for nothing else."""


@dataclass(frozen=True)
class ChainSettings:
    """``rpc_url`` as this machine reaches the chain; ``deployer_key`` 0x and 64 hex digits, or empty."""

    mode: Mode = "local"
    chain_id: int = default_chain_id
    rpc_url: str = default_rpc_url
    finality: Finality = "latest"
    deployer_key: str = field(default="", repr=False)

    @classmethod
    def from_config(cls, value: str | Mapping[str, Any] | None) -> ChainSettings:
        """From the configuration value ``berth:chain`` (a JSON object, as text or parsed; None for none).

        Keys that only the program needs are left to it.  SettingError names key, value and what is allowed.
        """
        raw = _mapping(value)
        mode = _choice(raw, "mode", get_args(Mode), "local")
        chain_id = raw.get("chainId", default_chain_id)
        if isinstance(chain_id, bool) or not isinstance(chain_id, int) or chain_id < 1:
            raise SettingError(f"berth:chain.chainId is {chain_id!r}: a whole number from 1 is allowed")
        port = raw.get("rpcPort", default_rpc_port)
        fallback = default_rpc_url.replace(str(default_rpc_port), str(port)) if mode == "local" else ""
        rpc_url = raw.get("rpcUrl") or fallback
        if not isinstance(rpc_url, str) or not rpc_url.startswith(("http://", "https://")):
            raise SettingError(f"berth:chain.rpcUrl is {rpc_url!r}: an http:// or https:// address is allowed")
        return cls(
            mode=mode,
            chain_id=chain_id,
            rpc_url=rpc_url,
            finality=_choice(raw, "finality", get_args(Finality), "latest"),
            deployer_key=raw.get("deployerKey") or (local_deployer_key if mode == "local" else ""),
        )

    def endpoint(self, limits: TimeLimits | None = None) -> Endpoint:
        """The chain, to be called."""
        return Endpoint(self.rpc_url, self.chain_id, limits)

    def require_deployer_key(self) -> str:
        """The deployer's key; SettingError where the stack has none."""
        if not self.deployer_key:
            raise SettingError(
                "berth:chain.deployerKey is not set, and contracts cannot be deployed without it: "
                "`pulumi config set --secret --path berth:chain.deployerKey`"
            )
        return self.deployer_key


def _mapping(value: str | Mapping[str, Any] | None) -> Mapping[str, Any]:
    if value is None:
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise SettingError("berth:chain is not a JSON object") from None
    if not isinstance(value, Mapping):
        raise SettingError(f"berth:chain is {type(value).__name__}, an object is allowed")
    return value


def _choice(raw: Mapping[str, Any], key: str, allowed: tuple[Any, ...], default: str) -> Any:
    value = raw.get(key, default)
    if value not in allowed:
        raise SettingError(f"berth:chain.{key} is {value!r}: one of {', '.join(allowed)} is allowed")
    return value
