"""``leases.access: pass``: who holds a pass on the chain may lease, signed in with the wallet, and nobody else."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from berth.access.client.service import AccessService
from berth.access.client.wallet import Wallet
from berth.chain import anvil, dev, seed
from berth.chain.anvil import Anvil
from berth.chain.hashing import zero_address
from berth.cli.__main__ import app
from tests.browser.front import Front
from tests.integration.access_api.conftest import NodeHttp, Service
from tests.integration.access_api.conftest import World as Chain
from tests.integration.access_api.conftest import free_port as port
from tests.integration.leases.world import Servers, World, eventually

pytestmark = [pytest.mark.docker, pytest.mark.chain, pytest.mark.timeout(600)]

noticed_within = 15.0  # seconds: what the manager knows of a holder may be ten old


@dataclass
class Place:
    """A chain with its passes, the access API and the manager of leases, behind one URL."""

    chain: Chain
    leases: World
    url: str

    def ask(self, method: str, path: str, bearer: str = "", **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        return httpx.request(method, self.url + path, headers=headers, timeout=60, **options)

    def provision(self, bearer: str = "", **more: Any) -> httpx.Response:
        body = {"imageType": "basic", "durationMinutes": 5, **more}
        return self.ask("POST", "/api/provision", bearer, json=body, params={"wait": 20})

    def sign_in(self, wallet: Wallet) -> str:
        """A session, until the test ends."""
        client = AccessService(self.url)
        client.sign_in(wallet)
        return client.bearer

    def sell(self, wallet: Wallet, token: int) -> Wallet:
        """The pass goes to somebody new, whose wallet this gives."""
        buyer = self.chain.wallet()
        dev.fund(self.chain.endpoint, wallet.address)
        dev.transfer(self.chain.endpoint, self.chain.contracts.access_pass, wallet.key, buyer.address, token)
        return buyer

    def awaits_refusal(self, bearer: str) -> httpx.Response:
        """What is answered once the manager knows that there is no pass any more."""
        answers: list[httpx.Response] = []

        def refused() -> bool:
            answers.append(self.ask("GET", "/api/users/me", bearer))
            return answers[-1].status_code == 403

        eventually("without a pass nobody is let in", refused, noticed_within)
        return answers[-1]


@pytest.fixture(scope="module")
def place(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    assert anvil.binary.exists(), "Anvil is not installed: `npm ci` in contracts/ installs it"
    front, node = Front(0, {}), NodeHttp()
    with Anvil() as running:
        endpoint = running.endpoint()
        contracts = seed.deploy(endpoint)
        relay = dev.Wallet.fresh()
        dev.fund(endpoint, relay.address)
        chain = Chain(endpoint, contracts, relay, node, secrets.token_hex(32))
        access = Service(chain.variables(PUBLIC_URL=front.url), port()).start()
        folder = tmp_path_factory.mktemp("pass")
        leases = World(servers, folder, PUBLIC_URL=front.url, ACCESS_URL=access.url, **chain.lease_variables())
        try:
            leases.start()
            front.routes |= {"/api/access/": access.url.removeprefix("http://"), "/": f"127.0.0.1:{leases.port}"}
            yield Place(chain, leases, front.url)
        finally:
            leases.close()
            access.stop()
            front.close()
            node.close()


def test_nobody_leases_without_a_pass(place: Place) -> None:
    stranger = place.provision()
    assert (stranger.status_code, stranger.headers["www-authenticate"]) == (401, "Bearer")
    assert "sign in with the wallet that holds an access pass" in stranger.json()["detail"]
    assert place.provision(bearer="berth_made-up").status_code == 401
    assert place.provision(bearer="a.b.c").status_code == 401

    nobody = place.chain.wallet()
    bearer = place.sign_in(nobody)
    refused = place.provision(bearer)
    assert (refused.status_code, refused.json()["reason"]) == (403, "not-entitled")
    assert nobody.address in refused.json()["detail"]
    assert place.ask("POST", "/api/users", bearer, json={"username": "nobody"}).status_code in (401, 403)
    assert place.leases.records(wallet=nobody.address) == []


def test_a_holder_leases_until_the_pass_is_sold(place: Place) -> None:
    holder, token = place.chain.member()
    bearer = place.sign_in(holder)
    made = place.provision(bearer)
    assert made.status_code == 201, made.text
    lease = made.json()
    assert (lease["status"], lease["username"]) == ("running", holder.address.lower())

    other, _ = place.chain.member()
    another = place.sign_in(other)
    assert place.ask("GET", f"/api/containers/{lease['id']}", another).status_code == 404
    assert place.ask("DELETE", f"/api/containers/{lease['id']}", another).status_code == 404
    assert place.ask("GET", "/api/containers", another).json()["containers"] == []
    assert [one["id"] for one in place.ask("GET", "/api/containers", bearer).json()["containers"]] == [lease["id"]]

    buyer = place.sell(holder, token)
    refused = place.awaits_refusal(bearer)
    assert holder.address in refused.json()["detail"]
    assert place.provision(bearer).status_code == 403
    extended = place.ask("POST", f"/api/containers/{lease['id']}/extend", bearer, json={"minutes": 5})
    assert extended.status_code == 403
    eventually("the seller's lease ends", lambda: not place.leases.containers(lease["id"]), 40)
    assert place.leases.records(_id=lease["id"])[0]["ended_by"] == "no-pass"

    bought = place.provision(place.sign_in(buyer))
    assert bought.status_code == 201, bought.text
    assert bought.json()["username"] == buyer.address.lower()


def test_what_only_a_tunnel_reaches_ends_with_the_sale(place: Place) -> None:
    holder, token = place.chain.member()
    bearer = place.sign_in(holder)
    _, foreign = place.chain.member()
    assert place.provision(bearer, exposure="vpn", **{"pass": str(foreign)}).status_code == 403
    made = place.provision(bearer, exposure="vpn", **{"pass": str(token)})
    assert made.status_code == 201, made.text
    lease = made.json()
    place.sell(holder, token)
    eventually("its containers are gone", lambda: not place.leases.containers(lease["id"]), 10)
    assert place.leases.records(_id=lease["id"])[0]["ended_by"] == "sold"


def test_who_rents_a_pass_leases_for_as_long_as_the_rental(place: Place) -> None:
    owner, token = place.chain.member()
    lender, renter = place.sign_in(owner), place.chain.wallet()
    theirs = place.sign_in(renter)
    assert place.provision(theirs).status_code == 403
    place.chain.lend(owner, token, renter.address, int(time.time()) + 3600)
    eventually("the renter may lease", lambda: place.provision(theirs).status_code == 201, noticed_within)
    place.awaits_refusal(lender)
    place.chain.lend(owner, token, zero_address, 0)
    place.awaits_refusal(theirs)
    eventually("the owner may again", lambda: place.provision(lender).status_code == 201, noticed_within)


def test_who_signed_out_is_signed_out_here_too(place: Place) -> None:
    holder, _ = place.chain.member()
    bearer, another = place.sign_in(holder), place.sign_in(holder)
    assert place.ask("GET", "/api/users/me", bearer).status_code == 200
    assert place.ask("DELETE", "/api/access/session", bearer).status_code == 204
    eventually("its session ends", lambda: place.ask("GET", "/api/users/me", bearer).status_code == 401, 5)
    assert place.ask("POST", "/api/users", bearer, json={"username": f"u{secrets.token_hex(4)}"}).status_code == 401
    assert place.ask("GET", "/api/users/me", another).status_code == 200


def test_a_pass_that_is_over_counts_no_more(place: Place) -> None:
    soon, _ = place.chain.member(expires=int(time.time()) + 6)
    bearer = place.sign_in(soon)
    assert place.ask("GET", "/api/users/me", bearer).status_code == 200
    place.awaits_refusal(bearer)


def test_a_token_is_as_good_as_the_pass_of_its_wallet(place: Place) -> None:
    holder, token = place.chain.member()
    name = f"u{secrets.token_hex(4)}"
    with AccessService(place.url) as client:
        client.sign_in(holder)
        made = place.ask("POST", "/api/users", client.bearer, json={"username": name})
    assert made.status_code == 201, made.text
    assert made.json()["wallet"] == holder.address
    mine = made.json()["token"]
    assert place.ask("GET", "/api/users/me", mine).json()["username"] == name
    assert place.provision(mine).status_code == 201
    place.sell(holder, token)
    place.awaits_refusal(mine)


def test_the_command_signs_in_with_the_wallet(place: Place, tmp_path: Path) -> None:
    def berth(wallet: Wallet | None, *arguments: str) -> tuple[int, str]:
        key = tmp_path / "wallet"
        key.write_text("" if wallet is None else wallet.key + "\n")
        key.chmod(0o600)
        given = [*arguments, "--url", place.url, *([] if wallet is None else ["--key-file", str(key)])]
        done = CliRunner().invoke(app, ["lease", *given], env={"BERTH_LEASE_USER": ""}, catch_exceptions=False)
        return done.exit_code, done.output

    holder, _ = place.chain.member()
    code, told = berth(holder, "create", "basic", "--minutes", "5")
    assert code == 0, told
    code, listed = berth(holder, "ls", "--json")
    assert (code, holder.address.lower() in listed) == (0, True)
    code, told = berth(place.chain.wallet(), "create", "basic")
    assert (code, "holds no access pass" in told) == (1, True), told
    code, told = berth(None, "create", "basic")
    assert (code, "sign in with the wallet" in told) == (1, True), told
