"""A wallet for the page under test: EIP-1193 in the browser, keys and signatures here."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import BrowserContext

from berth.access.client.wallet import Wallet

provider = """
(() => {
  const listeners = new Map();
  const provider = {
    async request(call) {
      const answer = JSON.parse(await window.berthTestWallet(JSON.stringify(call)));
      if (answer.error) throw Object.assign(new Error(answer.error.message), answer.error);
      return answer.result;
    },
    on(event, listener) { listeners.set(event, listener); },
    removeListener(event) { listeners.delete(event); },
  };
  const info = { uuid: "6f9619ff-8b86-4d01-b42d-00c04fc964ff", rdns: "test.berth", name: "Test wallet", icon: ICON };
  const announce = () => window.dispatchEvent(
    new CustomEvent("eip6963:announceProvider", { detail: Object.freeze({ info, provider }) }));
  window.addEventListener("eip6963:requestProvider", announce);
  announce();
})();
""".replace(
    "ICON",
    json.dumps(
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E"
        "%3Crect width='8' height='8' rx='2' fill='%23d97706'/%3E%3C/svg%3E"
    ),
)


class Refusal(Exception):
    """What a wallet answers with a code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class BrowserWallet:
    """One account, on one chain at a time.  ``asked`` keeps every call; ``refuse`` maps a method to its refusal."""

    wallet: Wallet
    chain_id: int
    knows: set[int] = field(default_factory=set)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    refuse: dict[str, Refusal] = field(default_factory=dict)

    def put_into(self, context: BrowserContext) -> None:
        context.expose_function("berthTestWallet", self._answer)
        context.add_init_script(provider)

    def methods(self) -> list[str]:
        return [method for method, _ in self.asked]

    def _answer(self, text: str) -> str:
        call = json.loads(text)
        method, params = call["method"], call.get("params") or []
        self.asked.append((method, params))
        try:
            if method in self.refuse:
                raise self.refuse[method]
            return json.dumps({"result": self._do(method, params)})
        except Refusal as refusal:
            return json.dumps({"error": {"code": refusal.code, "message": str(refusal)}})

    def _do(self, method: str, params: list[Any]) -> Any:
        match method:
            case "eth_requestAccounts" | "eth_accounts":
                return [self.wallet.address.lower()]
            case "eth_chainId":
                return hex(self.chain_id)
            case "wallet_switchEthereumChain":
                wanted = int(params[0]["chainId"], 16)
                if wanted not in self.knows:
                    raise Refusal(4902, "Unrecognized chain ID")
                self.chain_id = wanted
                return None
            case "personal_sign":
                message, account = params
                self._own(account)
                return "0x" + self.wallet.sign_text(bytes.fromhex(message[2:]).decode()).hex()
            case "eth_signTypedData_v4":
                account, data = params[0], json.loads(params[1])
                self._own(account)
                if int(data["domain"]["chainId"]) != self.chain_id:
                    raise Refusal(-32603, "Provided chainId must match the active chainId")
                return "0x" + self.wallet.sign_typed(_numbers(data)).hex()
            case _:
                raise Refusal(4200, f"{method} is not supported")

    def _own(self, account: str) -> None:
        if account.lower() != self.wallet.address.lower():
            raise Refusal(4100, "not an account of this wallet")


def _numbers(data: dict[str, Any]) -> dict[str, Any]:
    """As wallets do: integers may come as decimal text."""
    kinds = {one["name"]: one["type"] for one in data["types"][data["primaryType"]]}
    whole = {
        name: int(value) if re.fullmatch(r"uint\d*", kinds[name]) else value for name, value in data["message"].items()
    }
    return {**data, "message": whole}
