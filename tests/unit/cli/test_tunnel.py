"""``berth tunnel``: what it makes of its options, and what it says when something is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from berth.access.client.tunnel.bridges import Bridge
from berth.access.client.tunnel.keeper import Status
from berth.cli import tunnel
from berth.cli.__main__ import app
from berth.cli.terminal import CommandError, size

key, other = "A" * 43 + "=", "B" * 43 + "="
bridged = f"""[Interface]
PrivateKey = x

[Peer]
# through a TCP bridge
PublicKey = {key}
Endpoint = 127.0.0.1:51999
AllowedIPs = 10.77.0.1/32

[Peer]
PublicKey = {other}
Endpoint = 127.0.0.1:51999
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "berth.conf"
    made.write_text(bridged)
    return made


@pytest.mark.parametrize(("uid", "interface"), [(0, "berth"), (1000, "")])
def test_the_configuration_says_where_wireguard_sends_and_root_moves_its_interface(
    file: Path, monkeypatch: pytest.MonkeyPatch, uid: int, interface: str
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: uid)
    plan = tunnel._plan(None, "", "", "")
    assert (plan.key, plan.listen, plan.interface) == (key, "127.0.0.1:51999", interface)
    assert plan.nudge == "10.77.0.1:9"
    found = [Bridge("b:443", "node-b", other), Bridge("a:443", "node-a", key)]
    assert tunnel._named(plan, found).node == "node-a"
    assert tunnel._named(tunnel._plan(None, "node-b", "", ""), found).node == "node-b"


def test_without_one_the_first_bridge_says_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = tunnel._plan(None, "", "wg7", "")
    assert (plan.listen, plan.interface) == ("127.0.0.1:51888", "wg7")
    assert tunnel._named(plan, [Bridge("b:443", "node-b")]).node == "node-b"
    assert tunnel._plan(None, "", "", "127.0.0.1:1").listen == "127.0.0.1:1"


def test_a_configuration_that_leads_straight_to_a_node_is_refused(file: Path) -> None:
    file.write_text(bridged.replace("# through a TCP bridge", ""))
    with pytest.raises(CommandError, match=r"leads straight to 127.0.0.1:51999.*--udp-blocked"):
        tunnel._plan(None, "", "", "")
    assert tunnel._plan(None, "", "", "127.0.0.1:51888").listen == "127.0.0.1:51888"


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--server", "nonsense"], 1, "'nonsense' is not a bridge"),
        (["--server", "a:1", "--url", "http://x"], 2, "name one"),
        (["--registry", "0x1"], 2, "--registry needs --rpc"),
        (["--config", "absent.conf"], 2, "absent.conf cannot be read: No such file"),
        (["--url", "http://127.0.0.1:9"], 3, "does not answer"),
        (["--server", "n-b=b:443", "--node", "n-a"], 1, "no bridge before n-a right now; nodes with bridges: n-b"),
    ],
)
def test_what_it_cannot_do_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], status: int, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["tunnel", *arguments])
    assert done.exit_code == status
    assert says in done.stderr


def test_a_program_that_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BERTH_BRIDGE", str(tmp_path / "nothing"))
    done = CliRunner().invoke(app, ["tunnel", "--server", "a:1"])
    assert done.exit_code == 1
    assert "which is no program" in done.stderr


def status(**changes: object) -> Status:
    given = {"node": "node-a", "endpoint": "a:443", "rtt": 12.34, "sent": 10, "received": 20, "dropped": 1,
             "failovers": 2, "waiting": False, "faults": {}, "peer": None}  # fmt: skip
    return Status(**{**given, **changes})  # type: ignore[arg-type]  # as the fields are


@pytest.mark.parametrize(
    ("shown", "line"),
    [
        (status(), "connected, node-a at a:443, 12.3 ms, 2 failovers, 1 dropped"),
        (status(peer="node-b"),
         "the interface still speaks to node-b, node-a at a:443, 12.3 ms, 2 failovers, 1 dropped"),
        (status(endpoint="", rtt=None, waiting=True, faults={"a:443": "does not answer"}),
         "no bridge answers, 2 failovers, 1 dropped; a:443: does not answer"),
        (status(endpoint="", rtt=None, waiting=True),
         "waiting for WireGuard to send something, 2 failovers, 1 dropped"),
    ],
)  # fmt: skip
def test_what_people_read(shown: Status, line: str) -> None:
    assert tunnel._line(shown) == line


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 * 2**30, "5.0 GiB")])
def test_bytes(count: int, text: str) -> None:
    assert size(count) == text
