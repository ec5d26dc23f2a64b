"""A WireGuard interface in memory behind the same commands, and small stand-ins for the rest of a node."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from berth.access.errors import ChainUnreachable
from berth.access.model import AccessList, Block, Entry
from berth.vpn.agent import Agent
from berth.vpn.errors import CommandFailed, ListRefused
from berth.vpn.metrics import NodeMetrics
from berth.vpn.store import Store
from berth.vpn.wireguard import WireGuard

registry = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
owner = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
chain_id = 31337
_none_key = "A" * 43 + "="


def key(name: str | int) -> str:
    """A well-formed WireGuard key, the same for the same name."""
    return b64encode(sha256(str(name).encode()).digest()).decode()


def block(number: int, fork: str = "") -> Block:
    return Block(number, "0x" + sha256(f"{number}{fork}".encode()).hexdigest())


def access_list(number: int, *tokens: int, fork: str = "") -> AccessList:
    """Token n has key("n") and 10.77.0.(n + 1)."""
    entries = tuple(Entry(token, owner, key(token), f"10.77.0.{token + 1}") for token in sorted(tokens))
    return AccessList(chain_id, registry, block(number, fork), entries)


@dataclass
class FakeWg:
    """Runs wg's commands on ``peers`` (key -> [preshared, endpoint, allowed, keepalive]) and records them.

    ``before`` sees each command first: it may raise, or change ``peers`` as somebody else would.
    ``dump`` may bend what a dump says.
    """

    peers: dict[str, list[str]] = field(default_factory=dict)
    commands: list[list[str]] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    before: Callable[[list[str]], None] = lambda command: None
    dump: Callable[[str], str] = lambda text: text

    def __call__(self, command: Sequence[str], stdin: str = "") -> str:
        words = list(command)
        self.commands.append(words)
        self.before(words)
        match words:
            case ["wg", "show", _, "dump"]:
                head = "\t".join([key("private"), key("node"), "51820", "off"])
                lines = ["\t".join([k, p[0], p[1], p[2], "0", "0", "0", p[3]]) for k, p in self.peers.items()]
                return self.dump("\n".join([head, *lines]) + "\n")
            case ["wg", "show", _, "peers"]:
                return "".join(f"{name}\n" for name in self.peers)
            case ["wg", "set", _, *rest]:
                for at in range(0, len(rest), 3):
                    assert [rest[at], rest[at + 2]] == ["peer", "remove"], rest
                    self.peers.pop(rest[at + 1], None)
                return ""
            case ["wg", "addconf", _, "/dev/stdin"]:
                self.inputs.append(stdin)
                self._add(stdin)
                return ""
        raise CommandFailed(f"unknown command {words}")

    def add(self, name: str, allowed: str, preshared: str = "(none)", endpoint: str = "(none)") -> None:
        """As somebody would by hand: an address goes to the last peer that is given it."""
        for peer in self.peers.values():
            rest = [a for a in peer[2].split(",") if a not in allowed.split(",")]
            peer[2] = ",".join(rest) or "(none)"
        self.peers[name] = [preshared, endpoint, allowed, "off"]

    def _add(self, text: str) -> None:
        for section in text.split("[Peer]\n")[1:]:
            values = dict(line.split(" = ", 1) for line in section.splitlines())
            name = values["PublicKey"]
            old = self.peers.get(name, ["(none)", "(none)", "(none)", "off"])
            preshared = "(none)" if values["PresharedKey"] == _none_key else values["PresharedKey"]
            self.add(name, values["AllowedIPs"].replace(" ", ""), preshared, values.get("Endpoint", old[1]))

    @property
    def changing(self) -> list[list[str]]:
        """The commands that change something."""
        return [command for command in self.commands if command[1] != "show"]


@dataclass
class FakeGround:
    """Interface and firewall that are always there."""

    ensured: int = 0

    def ensure(self) -> None:
        self.ensured += 1


@dataclass
class FakeSource:
    """A chain as a node sees it: ``lists`` by block, ``head`` the last block it has."""

    lists: list[AccessList] = field(default_factory=list)
    origin: str = "0xgenesis"
    fault: Exception | None = None
    reads: int = 0

    def genesis(self) -> str:
        self._ask()
        return self.origin

    def canonical(self, block: Block) -> bool:
        self._ask()
        return any(access.block == block for access in self.lists)

    def read(self, digest: str, block: Block) -> AccessList:
        self._ask()
        self.reads += 1
        for access in self.lists:
            if access.block == block and access.digest == digest:
                return access
        raise ListRefused(f"the chain does not give {digest} at {block}")

    def _ask(self) -> None:
        if self.fault is not None:
            raise self.fault


def agent_on(
    volume: Path,
    wg: FakeWg,
    source: FakeSource,
    *,
    ground: FakeGround | None = None,
    metrics: NodeMetrics | None = None,
    listens: str = registry,
    **policy: Any,
) -> Agent:
    """An agent on these fakes, not started.  ``listens``: the registry it goes by; ``policy`` as :class:`Agent`'s."""
    return Agent(
        name="node-1",
        public_key=key("node"),
        port=51820,
        registry=listens,
        chain_id=chain_id,
        node=ground or FakeGround(),
        peers=WireGuard("wg0", wg),
        source=source,
        store=Store(volume),
        metrics=metrics or NodeMetrics(CollectorRegistry()),
        **policy,
    )


unreachable = ChainUnreachable("http://chain:8545 cannot be reached: is the chain running there?")
