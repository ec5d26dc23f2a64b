"""The scene of a lease that only the tunnel of its pass reaches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx

from berth.access.client.service import AccessService
from berth.access.client.wallet import Wallet
from berth.kit.client import ApiRefused
from berth.leases.client.service import Caller, LeaseService
from demo.client import Client

_minutes: Final = 10
_soon: Final = 15.0  # seconds


@dataclass(frozen=True)
class Leased:
    """A lease of exposure ``vpn``, and the API that knows how it is."""

    api: LeaseService
    lease: dict[str, Any]
    tunnel_address: str
    public_host: str
    """What it would be called at the stack's gateway, were it there for everybody."""

    @property
    def url(self) -> str:
        return f"{self.lease['url']}/"

    def reached_by(self, client: Client, seconds: int = 3) -> str | None:
        """Its page, as the client sees it; None where it does not.

        Nobody's DNS has the demo's names: the client is told where they lead, as a wildcard record would.
        """
        entry = f"{self.tunnel_address} {self.lease['hostname']}"
        client.run(f"grep -qxF '{entry}' /etc/hosts || echo '{entry}' >> /etc/hosts")
        return client.reaches(self.url, seconds)

    def await_page(self, client: Client) -> str | None:
        """Its page, or None when it is not there after a while: the name is there before the program listens."""
        deadline = time.monotonic() + _soon
        while (page := self.reached_by(client)) is None and time.monotonic() < deadline:
            time.sleep(0.2)
        return page

    def is_public(self) -> bool:
        """Whether the stack's gateway shows it to anybody."""
        answer = httpx.get(self.api.url, headers={"Host": self.public_host}, timeout=5)
        return answer.status_code != 404

    def await_end(self) -> str:
        """Why it ended, once it has; what it says of itself otherwise."""
        deadline = time.monotonic() + _soon
        while (now := self.api.show(self.lease["id"]))["phase"] != "gone" and time.monotonic() < deadline:
            time.sleep(0.2)
        return str(now["why"])


@contextmanager
def leased(service: AccessService, name: str, wallet: Wallet, token: int, address: str) -> Iterator[Leased | None]:
    """A lease for the holder of a pass, removed at the end if it is still there; None in a stack without leases."""
    with LeaseService(service.url) as anybody:
        try:
            offered = anybody.scenarios()
        except ApiRefused as refused:
            if refused.status != 404:
                raise
            yield None
            return
        access, domain = offered["access"], offered["domain"]
        if access == "pass":
            service.sign_in(wallet)
            caller = Caller(token=service.bearer)
        elif access == "token":
            caller = Caller(token=anybody.register(f"demo-{name}-{token}")["token"])
        else:
            caller = Caller(username=f"demo-{name}")
    with LeaseService(service.url, caller) as api:
        lease = api.create("basic", _minutes, exposure="vpn", token=str(token), wait=30)
        try:
            yield Leased(api, lease, address, f"{lease['name']}.{domain}")
        finally:
            if api.show(lease["id"])["phase"] != "gone":
                api.remove(lease["id"])
