"""``berth access``: what it says, and how it ends, against control APIs that answer as told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from berth.access.model import AccessList, Block, Entry
from berth.access.receipt import Receipt
from berth.chain.dev import fresh_public_key
from berth.cli import stack
from berth.cli.__main__ import app
from berth.cli.access import _list_form
from tests.stand_in import Answer, Asked, StandIn

token = "control token of a node"
owner = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
registry = "0x" + "11" * 20
block = Block(20, "0x" + "ab" * 32)
listed = AccessList(
    31337, registry, block, tuple(Entry(n, owner, fresh_public_key(), f"10.77.0.{n + 1}") for n in (1, 2))
)


class Node(StandIn):
    """A control API: ``answers`` by method and path."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {("GET", "/control/status"): (200, status())}

    def answer(self, asked: Asked) -> Answer:
        if asked.headers.get("Authorization") != f"Bearer {token}":
            return 403, {"detail": "this is not the node's control token"}
        return self.answers.get((asked.method, asked.path), (404, {"detail": "no such thing"}))


def status(**changes: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "node": "node-1",
        "mode": "follow",
        "applied": {"block": {"number": 20, "hash": block.hash}, "digest": listed.digest},
        "peers": 2,
        "age": 3.2,
        "closed": False,
        "breaker": {"state": "closed"},
        "fault": None,
    }
    return {**shown, **changes}


waiting = {"state": "waiting", "id": "20-abc", "since": 1.0, "deadline": 4e9, "held": 12}


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node()
    yield made
    made.close()


def berth(node: Node, *arguments: str, stdin: str = "") -> Result:
    given = ["access", arguments[0], *arguments[1:], "--node-url", f"node-1={node.url}"]
    return CliRunner().invoke(
        app, given, input=stdin, env={"BERTH_CONTROL_TOKEN": token, "COLUMNS": "200"}, catch_exceptions=False
    )


def test_status_is_a_table_or_json(node: Node) -> None:
    shown = berth(node, "status")
    assert shown.exit_code == 0
    assert "node-1" in shown.stdout
    assert listed.digest[7:23] in shown.stdout
    assert json.loads(berth(node, "status", "--json").stdout) == {"nodes": {"node-1": status()}, "unreachable": []}


def test_a_mass_removal_that_waits_is_an_exit_status(node: Node) -> None:
    node.answers["GET", "/control/status"] = (200, status(breaker=waiting))
    shown = berth(node, "status")
    assert shown.exit_code == 1
    assert "12 held" in shown.stdout
    assert "berth access approve node-1" in shown.stderr


@pytest.mark.parametrize(
    "trouble", [{"closed": True}, {"fault": "the list is lost"}, {"failing": {"chain": "it does not answer"}}]
)
def test_a_node_that_is_not_well_is_an_exit_status(node: Node, trouble: dict[str, Any]) -> None:
    node.answers["GET", "/control/status"] = (200, status(**trouble))
    assert berth(node, "status").exit_code == 1


def test_a_node_that_does_not_answer(node: Node) -> None:
    node.close()
    shown = berth(node, "status")
    assert (shown.exit_code, "is it running" in shown.stderr) == (3, True)
    assert json.loads(berth(node, "status", "--json").stdout)["unreachable"] == ["node-1"]


@pytest.mark.parametrize(("typed", "approved", "code"), [("y\n", True, 0), ("n\n", False, 1), ("", False, 1)])
def test_a_person_approves(node: Node, typed: str, approved: bool, code: int) -> None:
    node.answers["GET", "/control/status"] = (200, status(breaker=waiting))
    node.answers["POST", "/control/approve"] = (200, status())
    shown = berth(node, "approve", stdin=typed)
    assert shown.exit_code == code
    sent = [asked.body for asked in node.asked if asked.method == "POST"]
    assert sent == ([{"id": "20-abc"}] if approved else [])


def test_without_a_question(node: Node) -> None:
    assert berth(node, "approve", "--yes").stdout == "nothing waits\n"
    node.answers["GET", "/control/status"] = (200, status(breaker=waiting))
    node.answers["POST", "/control/approve"] = (409, {"detail": "no mass removal 20-abc waits"})
    shown = berth(node, "approve", "--yes")
    assert (shown.exit_code, "no mass removal 20-abc waits" in shown.stderr) == (1, True)


def list_file(folder: Path, access: AccessList = listed) -> Path:
    file = folder / "list.json"
    file.write_text(json.dumps(_list_form(access)))
    return file


def test_receipts_are_verified_offline(node: Node, tmp_path: Path) -> None:
    receipt = Receipt.of(listed).as_dict()
    node.answers["GET", "/control/receipts"] = (200, {"receipts": [receipt]})
    shown = berth(node, "verify", "--list", str(list_file(tmp_path)))
    assert (shown.exit_code, "true" in shown.stdout) == (0, True)
    file = tmp_path / "receipts.json"
    file.write_text(json.dumps({"receipts": [receipt]}))
    told = berth(node, "verify", "--receipts", str(file), "--list", str(list_file(tmp_path)), "--json")
    assert [one["result"] for one in json.loads(told.stdout)["receipts"]] == ["true"]


@pytest.mark.parametrize(
    "changes",
    [
        {"digest": "sha256:" + "0" * 64},
        {"block": {"number": 21, "hash": block.hash}},
        {"chainId": 1},
        {"registry": owner},
    ],
)
def test_a_receipt_of_something_else_is_false(node: Node, tmp_path: Path, changes: dict[str, Any]) -> None:
    node.answers["GET", "/control/receipts"] = (200, {"receipts": [{**Receipt.of(listed).as_dict(), **changes}]})
    shown = berth(node, "verify", "--list", str(list_file(tmp_path)))
    assert (shown.exit_code, "false" in shown.stdout) == (1, True)


def test_peers_that_are_held_back_do_not_make_a_receipt_false(node: Node, tmp_path: Path) -> None:
    receipt = Receipt.of(listed, {**listed.peers, fresh_public_key(): "10.77.0.9"}).as_dict()
    node.answers["GET", "/control/receipts"] = (200, {"receipts": [receipt]})
    shown = berth(node, "verify", "--list", str(list_file(tmp_path)))
    assert (shown.exit_code, "other peers than the list" in shown.stdout) == (0, True)


def test_nodes_and_tokens_come_from_the_stack(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = {"node-1": {"controlUrl": node.url, "controlToken": token}, "node-2": {"controlUrl": "http://127.0.0.1:9", "controlToken": "x"}}  # fmt: skip # noqa: E501
    monkeypatch.setattr(stack, "outputs", lambda name: {"nodes": nodes} if name == "dev" else {})
    run = CliRunner().invoke
    assert run(app, ["access", "status"], env={"STACK": "dev"}).exit_code == 3
    shown = run(app, ["access", "status", "node-1"])
    assert (shown.exit_code, token in shown.output) == (0, False)
    other = run(app, ["access", "status", "node-3"])
    assert (other.exit_code, "there are: node-1, node-2" in other.stderr) == (2, True)
    assert "make up" in run(app, ["access", "status", "-s", "other"]).stderr


@pytest.mark.parametrize(
    ("arguments", "variables", "code", "says"),
    [
        (["--node-url", "node-1"], {"BERTH_CONTROL_TOKEN": "x"}, 2, "id=URL"),
        (["--node-url", "node-1=http://127.0.0.1:9"], {"BERTH_CONTROL_TOKEN": ""}, 2, "BERTH_CONTROL_TOKEN_FILE"),
        (["--node-url", "node-1=http://127.0.0.1:9"], {"BERTH_CONTROL_TOKEN_FILE": "/nowhere"}, 2, "cannot be read"),
        (["--node-url", "node-1=http://"], {"BERTH_CONTROL_TOKEN": "x"}, 2, "id=URL"),
        (["--wrong"], {}, 2, "No such option"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], variables: dict[str, str], code: int, says: str) -> None:
    done = CliRunner().invoke(app, ["access", "status", *arguments], env=variables)
    assert (done.exit_code, done.stdout) == (code, "")
    assert says in done.stderr


chain = ["--rpc-url", "http://127.0.0.1:9", "--chain-id", "1"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["list", "--rpc-url", "foo", "--registry", registry, "--subnet", "10.0.0.0/24", "--chain-id", "1"],
            "not a URL",
        ),
        (["list", *chain, "--registry", "bar", "--subnet", "10.0.0.0/24"], "not an address"),
        (["list", *chain, "--registry", registry, "--subnet", "10.0.0.1/24"], "--subnet"),
        (["verify", "--receipts", "/nowhere"], "cannot be read"),
        (["verify", "--receipts", __file__], "is not JSON"),
    ],
)
def test_wrong_usage_is_told_from_a_refusal(arguments: list[str], says: str) -> None:
    done = CliRunner().invoke(app, ["access", *arguments])
    assert (done.exit_code, done.stdout) == (2, "")
    assert says in done.stderr
