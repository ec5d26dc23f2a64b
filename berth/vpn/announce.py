"""Announces this node in NodeRegistry: ``python -m berth.vpn.announce``, a process of its own.

Signing needs web3, which takes more memory than all the rest of the agent; so the agent starts this, waits for it to
end, and tries again later where it did not succeed.  What it has to know comes as JSON on standard input, the private
key too, and nothing as an argument.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import Any, Final

from berth.chain.errors import ChainError
from berth.chain.heads import backoff
from berth.kit.logging import get_logger
from berth.vpn.settings import NodeSettings

_done, _unchanged, _failed = 0, 3, 1
_look_again: Final = 3600.0  # seconds after a success: somebody may have disallowed the node and allowed it again
_limit: Final = 180.0  # seconds for one attempt


class Announcer:
    """Announces, and goes on trying, in a thread of its own."""

    def __init__(self, settings: NodeSettings, public_key: str) -> None:
        assert settings.contract_private_key is not None
        self._request = {
            "rpcUrls": list(settings.endpoints),
            "chainId": settings.chain,
            "registry": settings.node_registry,
            "node": settings.node_id,
            "publicKey": public_key,
            "endpoint": settings.endpoint,
            "region": settings.region,
            "bridges": list(settings.announced_bridges),
        }
        self._key = settings.contract_private_key
        self._stopping = threading.Event()
        self._fault = "not announced yet"
        self._log = get_logger("announce")

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name="announce", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def check(self) -> str:
        """For health reports: ChainError while the registry does not show this node as it is."""
        if self._fault:
            raise ChainError(self._fault)
        return f"announced as {self._request['endpoint']}"

    def _run(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            fault = self._try()
            if fault and fault != self._fault:
                self._log.warning("the node could not be announced", reason=fault)
            self._fault = fault
            attempt = attempt + 1 if fault else 0
            self._stopping.wait(backoff(attempt + 1) if fault else _look_again)

    def _try(self) -> str:
        """One attempt: why it failed, "" where it did not."""
        request = {**self._request, "key": self._key.get_secret_value()}
        try:
            done = subprocess.run(
                [sys.executable, "-m", "berth.vpn.announce"],
                input=json.dumps(request),
                capture_output=True,
                text=True,
                timeout=_limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"it took longer than {_limit:g} s"
        if done.returncode not in (_done, _unchanged):
            lines = done.stderr.strip().splitlines()
            return lines[-1] if lines else f"exit status {done.returncode}"
        if done.returncode == _done:
            self._log.info("the node is announced", endpoint=request["endpoint"], region=request["region"])
        return ""


def announce(request: dict[str, Any]) -> bool:
    """Announce where the registry shows something else; whether that was so.  Errors: ChainError."""
    from berth.chain.endpoint import Endpoint
    from berth.chain.node_registry import NodeRegistry
    from berth.chain.quorum import Quorum
    from berth.chain.transactions import Sender

    chain = Quorum([Endpoint(url, request["chainId"]) for url in request["rpcUrls"]])
    registry = NodeRegistry(chain, request["registry"])
    sender = Sender(chain, request["key"])
    wanted = (request["node"], request["publicKey"], request["endpoint"], request["region"], tuple(request["bridges"]))
    shown = [(node.id, node.key, node.endpoint, node.region, node.bridges) for node in registry.nodes()]
    if wanted in shown:
        return False
    registry.announce(sender, *wanted)
    return True


def main() -> int:
    """The exit status: 0 announced, 3 it was so already, 1 not, with the reason as the last line of standard error."""
    try:
        return _done if announce(json.load(sys.stdin)) else _unchanged
    except ChainError as error:
        sys.stderr.write(f"{error}\n")
        return _failed


if __name__ == "__main__":
    sys.exit(main())
