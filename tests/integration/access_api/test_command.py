"""``berth connect`` as a person calls it, against the real service."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from berth.access.client.device import peers_in, private_in
from berth.access.client.wallet import Wallet
from berth.access.possession import public_of
from berth.access.read import read_access_list
from berth.chain import dev
from berth.chain.anvil import accounts_key
from berth.cli.__main__ import app
from tests.integration.access_api.conftest import Service, World, root

pytestmark = pytest.mark.chain


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


class Person:
    """Somebody with a wallet in a file and a folder of their own."""

    def __init__(self, service: Service, wallet: Wallet, folder: Path) -> None:
        self.service, self.wallet, self.folder = service, wallet, folder
        self.key_file = folder / "wallet"
        self.key_file.write_text(wallet.key + "\n")
        self.key_file.chmod(0o600)

    def berth(self, *arguments: str, **variables: str) -> Done:
        """Here, in this process: importing all anew for each call would take longer than the call."""
        given = {**self._environment(), **variables}
        with chdir(self.folder):
            result = CliRunner().invoke(app, list(arguments), env=given, catch_exceptions=False)
        return Done(result.exit_code, result.stdout, result.stderr)

    def process(self, *arguments: str) -> Done:
        """In a process of its own, as a shell does."""
        done = subprocess.run(
            [sys.executable, "-m", "berth.cli", *arguments], cwd=self.folder, text=True, capture_output=True,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(root), **self._environment()}, timeout=120,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    def _environment(self) -> dict[str, str]:
        return {"BERTH_URL": self.service.url, "BERTH_WALLET_KEY_FILE": str(self.key_file), "COLUMNS": "200"}

    def connect(self, *arguments: str, **variables: str) -> dict[str, Any]:
        done = self.berth("connect", "--no-wait", "--json", *arguments, **variables)
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told


@pytest.fixture
def person(world: World, service: Service, tmp_path: Path) -> Iterator[Person]:
    wallet, _ = world.member()
    made = Person(service, wallet, tmp_path)
    yield made
    # Whatever was asked, and however it ended: the keys are in the files, and nowhere that others look.
    assert wallet.key not in json.dumps(service.log)


def test_from_a_wallet_to_a_configuration(world: World, person: Person) -> None:
    done = person.process("connect", "--no-wait", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    file = person.folder / "berth.conf"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert public_of(private_in(file)) == told["key"]
    text = file.read_text()
    assert re.findall(r"^(Address|MTU|Endpoint|AllowedIPs|PersistentKeepalive|PublicKey) = (.*)$", text, re.M) == [
        ("Address", f"{told['address']}/32, {told['address6']}/128"),
        ("MTU", "1420"),
        ("PublicKey", world.node.stats["interfacePublicKey"]),
        ("Endpoint", "vpn.example:51820"),
        ("AllowedIPs", "10.77.0.0/16, fd77::/64"),
        ("PersistentKeepalive", "25"),
    ]
    entry = read_access_list(world.endpoint, world.contracts.key_registry, IPv4Network("10.77.0.0/16")).by_token[
        int(told["token"])
    ]
    assert (entry.key, entry.address) == (told["key"], told["address"])
    assert [path.name for path in person.folder.iterdir() if path.name.startswith(".")] == []


def test_where_udp_is_blocked_the_configuration_leads_through_a_bridge(world: World, person: Person) -> None:
    told = person.connect("--udp-blocked")
    assert (told["node"], told["endpoint"], told["mtu"]) == ("node-1", "127.0.0.1:51888", 1414)
    file = person.folder / "berth.conf"
    (peer,) = peers_in(file)
    assert (peer.key, peer.endpoint) == (world.node.stats["interfacePublicKey"], "127.0.0.1:51888")
    assert "\nMTU = 1414\n" in file.read_text()
    # The same key moves from one way to the other.
    straight = person.connect("--move")
    assert (straight["key"], straight["endpoint"], straight["mtu"]) == (told["key"], "vpn.example:51820", 1420)
    done = person.berth("connect", "--no-wait", "--move", "--udp-blocked", "--tunnel-port", "51999")
    assert f"sudo {sys.prefix}/bin/berth tunnel --url {person.service.url} --config berth.conf" in done.stdout
    assert peers_in(file)[0].endpoint == "127.0.0.1:51999"
    assert person.berth("connect", "--udp-blocked", "--qr").returncode == 2


def test_what_is_there_is_not_lost_by_accident(person: Person) -> None:
    person.connect()
    before = (person.folder / "berth.conf").read_text()
    again = person.berth("connect", "--no-wait")
    assert (again.returncode, "is there already" in again.stderr) == (1, True)
    again = person.berth("connect", "--no-wait", "--force")
    assert (again.returncode, "--replace" in again.stderr) == (1, True)
    assert (person.folder / "berth.conf").read_text() == before
    told = person.connect("--force", "--replace")
    assert public_of(private_in(person.folder / "berth.conf")) == told["key"]
    assert told["key"] not in before


def test_moving_to_another_node_keeps_the_key(world: World, person: Person) -> None:
    first = person.connect()
    nonce = world.registry.nonce(person.wallet.address)
    moved = person.connect("--move", "--node", "node-1")
    assert (moved["key"], moved["address"], moved["transaction"]) == (first["key"], first["address"], None)
    assert world.registry.nonce(person.wallet.address) == nonce


def test_list_and_revoke(person: Person) -> None:
    token = person.connect()["token"]
    listed = json.loads(person.berth("connect", "--list", "--json").stdout)
    assert [one["token"] for one in listed["passes"]] == [token]
    assert [one["status"] for one in listed["devices"]] == ["pending"]
    shown = person.berth("connect", "--list").stdout
    assert "node-1" in shown
    revoked = person.berth("connect", "--revoke", token)
    assert revoked.returncode == 0, revoked.stderr
    assert json.loads(person.berth("connect", "--list", "--json").stdout)["devices"] == []
    again = person.berth("connect", "--revoke", token)
    assert (again.returncode, "no key is registered" in again.stderr) == (1, True)


def test_a_qr_code_beside_the_file(person: Person) -> None:
    done = person.berth("connect", "--no-wait", "--qr")
    assert done.returncode == 0, done.stderr
    assert "█" in done.stdout
    assert "PrivateKey" not in done.stdout


def test_several_passes_have_to_be_named(world: World, person: Person) -> None:
    second = dev.mint(world.endpoint, world.contracts.access_pass, accounts_key, person.wallet.address)
    asked = person.berth("connect", "--no-wait")
    assert (asked.returncode, f"{second}" in asked.stderr, "--pass" in asked.stderr) == (1, True, True)
    assert person.connect("--pass", str(second))["token"] == str(second)
    foreign = person.berth("connect", "--no-wait", "--pass", "99999", "--force")
    assert (foreign.returncode, "may not register" in foreign.stderr) == (1, True)


def test_a_keystore_with_its_password(person: Person) -> None:
    from eth_account import Account

    person.key_file.write_text(json.dumps(Account.encrypt(person.wallet.key, "hush", kdf="pbkdf2", iterations=1000)))
    wrong = person.berth("connect", "--list", BERTH_WALLET_PASSWORD="wrong")
    assert (wrong.returncode, "cannot be opened" in wrong.stderr) == (2, True)
    without = person.berth("connect", "--list")
    assert (without.returncode, "BERTH_WALLET_PASSWORD_FILE" in without.stderr) == (2, True)
    assert person.berth("connect", "--list", BERTH_WALLET_PASSWORD="hush").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "variables", "status", "says"),
    [
        (["--list"], {"BERTH_URL": "http://127.0.0.1:9"}, 3, "does not answer"),
        (["--list"], {"BERTH_URL": "nonsense"}, 2, "is not a URL"),
        (["--list"], {"BERTH_WALLET_KEY_FILE": "/nowhere"}, 2, "cannot be read"),
        (["--list"], {"BERTH_WALLET_KEY_FILE": ""}, 2, "no wallet"),
        (["--list", "--move"], {}, 2, "name one"),
        (["--node", "node-9"], {}, 2, "there is no node node-9; on offer: node-1"),
        (["--revoke", "x"], {}, 2, "is not a pass"),
        (["--move"], {}, 2, "cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said(
    person: Person, arguments: list[str], variables: dict[str, str], status: int, says: str
) -> None:
    done = person.berth("connect", *arguments, **variables)
    assert (done.returncode, done.stdout) == (status, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (person.folder / "berth.conf").exists()


def test_a_wallet_without_a_pass(world: World, service: Service, tmp_path: Path) -> None:
    done = Person(service, world.wallet(), tmp_path).berth("connect")
    assert (done.returncode, "holds no pass" in done.stderr) == (1, True)
