"""The chain's container: what was mined is there after a stop, a kill and a torn state file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from docker.models.containers import Container

from tests.component.recorder import Recorder
from tests.integration.platform.lab import Lab, eventually

pytestmark = pytest.mark.docker

container = "docker:index/container:Container"
account = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
other = "0x00000000000000000000000000000000000000aa"


class Chain:
    def __init__(self, lab: Lab, server: Container) -> None:
        self.lab, self.server = lab, server

    def call(self, method: str, *params: Any) -> Any:
        question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        answer = httpx.post(f"http://{self.lab.address(self.server)}:8545", json=question, timeout=5).json()
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["result"]

    def height(self) -> int:
        return int(self.call("eth_blockNumber"), 16)

    def wait(self) -> None:
        eventually("the chain answers", lambda: self.height() >= 0, 20, (httpx.HTTPError,))


@pytest.fixture
def chain(lab: Lab, images: Callable[[str], str], dev: Recorder, request: pytest.FixtureRequest) -> Iterator[Chain]:
    server = lab.start(dev.named(container, "chain"), images("chain"), mount=request.node.name)
    made = Chain(lab, server)
    made.wait()
    yield made
    lab.remove(server)


def pay(chain: Chain) -> int:
    """Height of a block with a payment in it."""
    chain.call("eth_sendTransaction", {"from": account, "to": other, "value": "0x1"})
    return chain.height()


def test_blocks_and_old_states_survive_a_stop(chain: Chain) -> None:
    height = pay(chain)
    pay(chain)
    block = chain.call("eth_getBlockByNumber", hex(height), False)
    chain.server.stop(timeout=30)
    chain.server.start()
    chain.wait()
    assert chain.height() == height + 1
    assert chain.call("eth_getBlockByNumber", hex(height), False)["hash"] == block["hash"]
    assert int(chain.call("eth_getBalance", other, {"blockHash": block["hash"]}), 16) == 1
    assert int(chain.call("eth_getBalance", other, "latest"), 16) == 2


def test_what_was_saved_survives_a_kill(chain: Chain) -> None:
    height = pay(chain)

    def saved() -> bool:
        code, out = chain.server.exec_run(["sh", "-c", "stat -c %s /data/state.json"])
        return code == 0 and int(out) > 0 and hex(height) in _file(chain)

    eventually("a save", saved, 15)
    chain.server.kill()
    chain.server.start()
    chain.wait()
    assert chain.height() == height


def test_a_torn_state_file_goes_back_to_the_last_start(chain: Chain) -> None:
    height = pay(chain)
    chain.server.restart(timeout=30)  # saves; the start keeps a copy
    chain.wait()
    pay(chain)
    chain.server.exec_run(["sh", "-c", "kill -STOP 1"])
    chain.server.kill()
    _tear(chain)
    chain.server.start()
    chain.wait()
    assert chain.height() == height
    assert b"going back to the state of the last start" in chain.server.logs()


def test_health_is_the_right_chain_answering(chain: Chain) -> None:
    eventually("health", lambda: chain.lab.health(chain.server) == "healthy", 20)
    assert chain.server.exec_run(["/usr/local/bin/healthcheck", "0x7a69"]).exit_code == 0
    assert chain.server.exec_run(["/usr/local/bin/healthcheck", "0x1"]).exit_code != 0


def test_it_runs_as_nobody_special(chain: Chain) -> None:
    status = chain.server.exec_run(["cat", "/proc/1/status"]).output.decode()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split()[0] == "1001"
    assert int(fields["CapEff"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    assert chain.server.exec_run(["touch", "/usr/local/bin/x"]).exit_code != 0


def _file(chain: Chain) -> str:
    out: bytes = chain.server.exec_run(["cat", "/data/state.json"]).output
    return out.decode()


def _tear(chain: Chain) -> None:
    """Cut the state file of the stopped container in half, as a kill in the middle of a save does."""
    image = chain.server.image
    volume = next(mount["Name"] for mount in chain.server.attrs["Mounts"] if mount["Destination"] == "/data")
    chain.lab.daemon.containers.run(
        image,
        entrypoint=["sh", "-c", "truncate -s $(($(stat -c %s /data/state.json) / 2)) /data/state.json"],
        volumes={volume: {"bind": "/data", "mode": "rw"}},
        remove=True,
    )
