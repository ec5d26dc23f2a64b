"""Reading and previewing lists of 10 to 10,000 passes, on a real Anvil, through the engine that set-up chose.

Per size (the case): ``calls`` of one whole preview, ``block_hashes`` that it asked for, ``seconds`` that the list
adds to a preview (baseline: the same stack without the list), and the ``p50`` of reading alone.  The baseline
of ``calls`` and ``p50`` is one ``ownerOf`` call per pass.  ``state_bytes_per_node`` is what one more node adds to
the state (baseline: at 10 passes).
"""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Network
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.harness import Measurement, median_seconds, progress
from bench.programs import Program
from bench.recorder import Recorder, blocks_named
from berth.access.read import read_access_list
from berth.chain.access_pass import AccessPass
from berth.chain.anvil import Anvil
from berth.chain.endpoint import Endpoint
from berth.chain.seed import Contracts, seed

sizes: Final = (10, 100, 1_000, 10_000)
_subnet: Final = IPv4Network("10.77.0.0/16")
# Seeding puts hundreds of registrations into one block.
_spare_gas: Final = ("--gas-limit", "1000000000")


def run() -> Iterator[Measurement]:
    """All figures, smallest list first."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Anvil(*_spare_gas) as anvil,
        Recorder(anvil.url) as recorder,
        _nodes() as control,
    ):
        plain, listed = Program(Path(folder) / "plain", recorder.url), Program(Path(folder) / "listed", recorder.url)
        plain.up()
        outputs = plain.outputs()
        contracts = Contracts(outputs["accessPass"], outputs["keyRegistry"], outputs["nodeRegistry"])
        endpoint, seeded = anvil.endpoint(), 0
        first_growth: float | None = None
        for size in sizes:
            progress(f"{size} passes")
            seed(endpoint, contracts, range(seeded + 1, size + 1))
            seeded = size
            yield from _reading(endpoint, contracts, size)
            if size in (sizes[0], sizes[-1]):
                growth = _growth_per_node(listed, recorder.url, control)
                yield Measurement("access_list", str(size), "state_bytes_per_node", "bytes", growth, first_growth, 8192)
                first_growth = growth
            _configure(listed, recorder.url, control, nodes=1)
            listed.up()
            yield from _previewing(plain, listed, recorder, size)


def _reading(endpoint: Endpoint, contracts: Contracts, size: int) -> Iterator[Measurement]:
    collection = AccessPass(endpoint, contracts.access_pass)

    def whole() -> None:
        access = read_access_list(endpoint, contracts.key_registry, _subnet)
        assert len(access.entries) == size, f"{len(access.entries)} of {size} passes were read"

    def one_by_one() -> None:
        for token in range(1, size + 1):
            collection.owner_of(token)

    ours, baseline = median_seconds(whole), median_seconds(one_by_one, 1)
    yield Measurement("access_list", str(size), "p50", "ms", ours * 1000, baseline * 1000)


def _previewing(plain: Program, listed: Program, recorder: Recorder, size: int) -> Iterator[Measurement]:
    recorder.take()
    listed.preview()
    calls = recorder.take()
    most = 2 * ceil(size / 1000)
    yield Measurement("access_list", str(size), "calls", "calls", len(calls), size, most)
    yield Measurement("access_list", str(size), "block_hashes", "hashes", len(blocks_named(calls)), None, 1)
    # In turns, so that whatever else the machine does meets both alike.
    turns = [(median_seconds(plain.preview, 1), median_seconds(listed.preview, 1)) for _ in range(3)]
    more = median(with_list - without for without, with_list in turns)
    allowed = 2.0 if size <= 1_000 else 8.0
    yield Measurement("access_list", str(size), "seconds", "s", more, median(without for without, _ in turns), allowed)


def _growth_per_node(listed: Program, rpc_url: str, control: str) -> float:
    """Bytes of state that one more node takes: three nodes against one."""
    found = []
    for nodes in (1, 3):
        _configure(listed, rpc_url, control, nodes=nodes)
        listed.up()
        found.append(len(listed.state()))
    return (found[1] - found[0]) / 2


def _configure(program: Program, rpc_url: str, control: str, nodes: int) -> None:
    program.configure(
        {"berth:chain": {"rpcUrl": rpc_url}, "bench:list": "true", "bench:nodes": str(nodes), "bench:control": control}
    )


class _Node(BaseHTTPRequestHandler):
    """A node's control API that reaches every list at once: what a node does is another benchmark's matter."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        state = {
            "publicKey": "",
            "applied": wanted,
            "actual": {"digest": wanted["digest"], "peers": 0},
            "drift": {"missing": {}, "extra": {}},
        }
        body = json.dumps(state).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing to say."""


@contextmanager
def _nodes() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Node) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
