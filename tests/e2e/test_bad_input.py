"""What goes wrong is said once and clearly, ends with a non-zero status, and changes nothing."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Node, Pulumi, root

pytestmark = [pytest.mark.docker, pytest.mark.chain]


@contextmanager
def unchanged(pulumi: Pulumi, node: Node) -> Iterator[None]:
    """Neither one resource of the state on disk nor one peer on the node is another afterwards."""
    before, peers = _resources(pulumi), node.state()["actual"]
    yield
    assert _resources(pulumi) == before
    assert node.state()["actual"] == peers


def _resources(pulumi: Pulumi) -> dict[str, dict[str, Any]]:
    """What is really there: not components and default providers, which show the settings, the changed one included."""
    latest = json.loads(pulumi.checkpoint())["checkpoint"]["latest"]
    assert not latest.get("pending_operations")
    # By URN: their order is that of registration, which is chance among those that do not need each other.
    real = (item for item in latest["resources"] if item["custom"] and not item["type"].startswith("pulumi:providers:"))
    return {item["urn"]: item for item in real}


def refused(run: Any, *words: str) -> None:
    assert run.status != 0, run.text
    for word in words:
        assert word in run.text, f"{word!r} is not in:\n{run.text}"
    assert "Traceback" not in run.text, run.text


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"gateway": {"httpPrt": 81}}, ("berth:gateway.httpPrt", "httpPort")),
        ({"gateway": {"httpPort": "eighty"}}, ("berth:gateway.httpPort", "eighty", "1 to 65535")),
        ({"chain": {"chainId": 0}}, ("berth:chain.chainId", "0")),
        ({"runtime": "swarm"}, ("berth:runtime", "swarm", "docker")),
        ({"access": {"tunnelSubnet": "8.8.0.0/16"}}, ("berth:access.tunnelSubnet", "8.8.0.0/16", "private")),
        ({"acess": {}}, ("berth:acess", "access")),
    ],
)
@pytest.mark.parametrize("verb", ["preview", "up"])
def test_a_wrong_setting_names_key_value_and_what_is_allowed(
    pulumi: Pulumi,
    node: Node,
    settings: Callable[..., None],
    verb: str,
    sections: dict[str, Any],
    words: tuple[str, ...],
) -> None:
    settings(**sections)
    with unchanged(pulumi, node):
        refused(pulumi("preview") if verb == "preview" else pulumi.up(), *words)


class Liar:
    """A JSON-RPC proxy before the real chain that bends answers to ``eth_call`` and blocks."""

    def __init__(self, upstream: str, bend: Callable[[str, Any], Any]) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = httpx.post(outer.upstream, content=body, headers={"Content-Type": "application/json"}).json()
                asked = json.loads(body)
                if "result" in answer:
                    answer["result"] = outer.bend(asked["method"], answer["result"])
                content = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: object) -> None:
                """The test's output is no place for an access log."""

        self.upstream, self.bend = upstream, bend
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Liar:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _shorter(method: str, result: Any) -> Any:
    """A page that ends in the middle."""
    return result[: len(result) // 2] if method == "eth_call" and len(result) > 600 else result


def _without_last_row(method: str, result: Any) -> Any:
    """A whole page whose last row was taken out, its length corrected."""
    if method != "eth_call" or len(result) < 2 + 64 * 11:
        return result
    data = bytes.fromhex(result[2:])
    rows = int.from_bytes(data[160:192], "big")
    return "0x" + (data[:160] + (rows - 1).to_bytes(32, "big") + data[192 : 192 + (rows - 1) * 160]).hex()


@pytest.mark.parametrize("bend", [_shorter, _without_last_row], ids=["cut short", "a row left out"])
def test_an_endpoint_that_lies_changes_nothing(
    pulumi: Pulumi, node: Node, two_passes: Any, settings: Callable[..., None], bend: Callable[[str, Any], Any]
) -> None:
    with Liar(pulumi.outputs()["rpcUrl"], bend) as liar:
        settings(chain={"rpcUrl": liar.url})
        with unchanged(pulumi, node):
            refused(pulumi("preview"), liar.url)
            refused(pulumi.up(), liar.url)


def test_an_endpoint_that_is_down_or_slow_or_of_another_chain(
    pulumi: Pulumi, node: Node, two_passes: Any, settings: Callable[..., None]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent_url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings(chain={"rpcUrl": silent_url})
        with unchanged(pulumi, node):
            refused(pulumi("preview", seconds=90), silent_url)
    settings(chain={"rpcUrl": silent_url})  # nobody listens there now
    with unchanged(pulumi, node):
        refused(pulumi("preview"), silent_url)

    with Liar(pulumi.outputs()["rpcUrl"], lambda _, result: result) as proxy:

        def other_chain(method: str, result: Any) -> Any:
            if method == "eth_chainId":
                return "0x1"
            return result[:258] + f"{1:064x}" + result[322:] if method == "eth_call" and len(result) >= 386 else result

        proxy.bend = other_chain
        settings(chain={"rpcUrl": proxy.url})
        with unchanged(pulumi, node):
            refused(pulumi("preview"), "chain 1", "31337")


def test_a_docker_daemon_that_is_down(pulumi: Pulumi, node: Node, tmp_path: Path) -> None:
    with unchanged(pulumi, node):
        run = pulumi("preview", "--refresh", env={"DOCKER_HOST": f"unix://{tmp_path}/no.sock"})
        refused(run, f"{tmp_path}/no.sock", "Docker")


def test_a_port_in_use_is_named(pulumi: Pulumi, node: Node, settings: Callable[..., None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, unchanged(pulumi, node):
        port = taken.getsockname()[1]
        settings(gateway={"altPort": port})
        refused(pulumi.up(), f"127.0.0.1:{port}", "in use")
    assert httpx.get("http://127.0.0.1:18380/health", timeout=10).status_code == 200


def test_a_locked_stack_says_who_holds_it(pulumi: Pulumi, node: Node) -> None:
    locks = root / f".pulumi/locks/organization/berth/{pulumi.stack}"
    locks.mkdir(parents=True, exist_ok=True)
    lock = locks / "held.json"
    lock.write_text(
        json.dumps(
            {
                "pid": os.getpid(),
                "username": "root",
                "hostname": socket.gethostname(),
                "timestamp": datetime.now(UTC).isoformat(),
            }
        )
    )
    try:
        with unchanged(pulumi, node):
            refused(pulumi.up(), str(os.getpid()), "pulumi cancel")
    finally:
        lock.unlink(missing_ok=True)


def test_a_wrong_passphrase(pulumi: Pulumi, node: Node) -> None:
    environment = {"PULUMI_CONFIG_PASSPHRASE": "not the one"}
    with unchanged(pulumi, node):
        refused(pulumi.up(env=environment), "passphrase")
        refused(pulumi("stack", "output", "--show-secrets", env=environment), "passphrase")


def test_a_damaged_state_file(pulumi: Pulumi, node: Node) -> None:
    file = root / f".pulumi/stacks/berth/{pulumi.stack}.json"
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[: len(whole) // 2])
        damaged = file.read_bytes()
        refused(pulumi.up(), str(file.relative_to(root)), ".bak")
        assert file.read_bytes() == damaged
    finally:
        file.write_bytes(whole)
    assert pulumi("preview").status == 0
