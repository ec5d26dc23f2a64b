"""Follows the chain: hears of heads, moves the list on, has the agent apply it, and audits the whole now and then.

Two threads beside those that hear: ``follow`` goes from block to block, ``audit`` reads the whole list every
``sync_interval`` and names the passes that look different.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

from berth.access.current import Update, changes_between, meet
from berth.access.errors import ChainError, OlderBlock
from berth.access.follow import Move, View
from berth.access.model import AccessList, Block, Entry
from berth.access.read import read_access_list
from berth.chain.endpoint import Endpoint, Finality, Header
from berth.chain.heads import Heads, backoff
from berth.chain.quorum import Quorum
from berth.kit.logging import get_logger
from berth.vpn.agent import Agent
from berth.vpn.errors import ApplyFailed, ListRefused, Moved, NodeError, VpnError
from berth.vpn.metrics import NodeMetrics

_named: Final = 20  # tokens that a log line names
_finality_grace: Final = 900.0  # seconds without a newer safe or finalized block; Ethereum has one every 384 s
_tick: Final = 1.0  # seconds between looks at the clock, where nothing is due sooner


@dataclass(frozen=True)
class FollowRule:
    """Which blocks count (``finality`` for who comes, ``removal`` for who goes), and how often what is done (seconds).

    ``block_seconds``: the chain has a new head at least so often; 0 where it makes blocks on demand.
    """

    finality: Finality = "latest"
    removal: Finality = "latest"
    audit_every: float = 30.0
    block_seconds: float = 0.0
    poll: float = 1.0


class Follower:
    """Keeps ``agent`` at the list that ``chain`` gives.  ``ws_urls``: one for each endpoint, "" for none."""

    def __init__(
        self,
        agent: Agent,
        chain: Quorum,
        ws_urls: Sequence[str],
        registry: str,
        subnet: IPv4Network,
        rule: FollowRule,
        metrics: NodeMetrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._agent, self._chain, self._registry, self._subnet = agent, chain, registry, subnet
        self._rule, self._metrics, self._clock = rule, metrics, clock
        self._added = View(chain, registry, subnet)
        self._removed = self._added if rule.removal == rule.finality else View(chain, registry, subnet)
        pairs = zip(chain.members, ws_urls, strict=True)
        self._heads = [Heads(member, url, self._hear, poll=rule.poll) for member, url in pairs]
        self._wake = threading.Condition()
        self._heard: tuple[Header | None, float] | None = None
        self._suspects: set[int] = set()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._pending: set[int] = set()  # touched, and not applied yet
        self._base: tuple[Block, Block | None] | None = None
        self._forked = False
        self._advanced = clock()  # when removals last came from a newer block
        self.head: Header | None = None
        self._fault = "the chain has not been read yet"
        self._failures = 0
        self._log = get_logger("follower")

    # ------------------------------------------------------------------ for others

    def start(self) -> None:
        """Begin, in threads of their own."""
        for head in self._heads:
            head.start()
        for name, target in (("follow", self._following), ("audit", self._auditing)):
            thread = threading.Thread(target=target, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End, and let what is being applied be applied."""
        self._stopping.set()
        with self._wake:
            self._wake.notify_all()
        for head in self._heads:
            head.stop()
        for thread in self._threads:
            thread.join(10)

    def check(self) -> str:
        """For health reports: head and lag; NodeError where the chain cannot be followed now."""
        if self._fault:
            raise NodeError(self._fault)
        ways = ["WebSocket" if heads.subscribed else "polling" for heads in self._heads]
        head = self.head.block.number if self.head else "?"
        return f"head {head}, {self.lag or 0} blocks behind, by {', '.join(ways)}"

    @property
    def lag(self) -> int | None:
        """Blocks from the applied list to the head; None before the first."""
        blocks, head = self._agent.blocks, self.head
        return max(head.block.number - blocks[0].number, 0) if blocks and head else None

    # ------------------------------------------------------------------ hearing

    def _hear(self, endpoint: Endpoint, header: Header, received: float) -> None:
        if self._chain.needed > 1:
            self._tell(None, received)
        elif endpoint is self._chain.preferred:
            self._tell(header, received)
        elif self._failures:
            # The one that is asked first does not answer: whoever hears something has the others asked.
            self._tell(None, received)

    def _tell(self, header: Header | None, received: float) -> None:
        with self._wake:
            waiting = self._heard[0] if self._heard else None
            # An answer may overtake a subscription's message; a fork to a lower block comes up again.
            if header is None or waiting is None or header.block.number >= waiting.block.number:
                self._heard = (header, received)
            self._wake.notify_all()

    def _suspect(self, tokens: set[int]) -> None:
        with self._wake:
            self._suspects |= tokens
            self._wake.notify_all()

    # ------------------------------------------------------------------ following

    def _following(self) -> None:
        while not self._stopping.is_set():
            with self._wake:
                # Also where passes are to be looked at again: what just failed would fail at once again.
                if self._heard is None and (self._failures or not self._suspects):
                    self._wake.wait(backoff(self._failures) if self._failures else None)
                heard, suspects = self._heard, self._suspects
                self._heard, self._suspects = None, set()
            if self._stopping.is_set():
                return
            header, received = heard if heard is not None else (None, time.perf_counter())
            try:
                self.step(header, received, suspects)
            except Exception as error:  # noqa: BLE001 - the thread must outlive whatever it is, and says what it was
                self._suspects |= suspects
                self._failed(error)
            else:
                self._well()

    def step(self, head: Header | None = None, received: float | None = None, suspects: set[int] | None = None) -> None:
        """Go to ``head`` (asked for where it is None).  Errors: ChainError, VpnError, OSError."""
        chain, rule = self._chain, self._rule
        chain.check_chain()
        latest = head or chain.header()
        at = min(self._clock(), latest.timestamp) if rule.block_seconds else self._clock()
        added = latest if rule.finality == "latest" else chain.header(rule.finality)
        self._move(self._added, added, suspects or set())
        if self._removed is not self._added:
            removed = latest if rule.removal == "latest" else chain.header(rule.removal)
            self._move(self._removed, removed, suspects or set())
        self.head = latest
        self._metrics.head.set(latest.block.number)
        self._apply(received)
        self._agent.confirm(self._believed(at))
        self._metrics.age.set(self._agent.age or 0)

    def _believed(self, at: float) -> float:
        """Until when the list counts: a finality that stands still confirms nothing, however new the head is."""
        rule = self._rule
        if rule.removal == "latest" or not rule.block_seconds:
            return at
        return min(at, self._advanced + _finality_grace)

    def _move(self, view: View, target: Header, suspects: set[int]) -> None:
        before = view.header
        try:
            move = view.move(target, suspects)
        except OlderBlock:
            # A chain that was started anew is behind as well.
            origin = self._agent.genesis
            if not origin or self._chain.block(0).hash == origin:
                raise
            self._log.warning("the chain was started anew", head=target.block.number)
            view.forget()
            move = view.move(target)
            self._forked = True
        if view is self._removed and before is not None and view.header != before:
            self._advanced = self._clock()
        self._pending |= move.tokens
        self._note(view, move, suspects)

    def _note(self, view: View, move: Move, suspects: set[int]) -> None:
        if move.whole:
            self._metrics.reads.labels(move.whole).inc()
            self._base = None
            self._log.info(
                "list read whole",
                reason=move.whole,
                block=view.header and view.header.block.number,
                passes=len(view.entries),
            )
        self._forked = self._forked or move.forked
        found = suspects & move.tokens
        if found and not move.whole:
            self._metrics.suspects.inc(len(found))
            self._log.warning("passes had changed without an event", tokens=sorted(found)[:_named])

    def _entry(self, token: int) -> Entry | None:
        added = self._added.entries.get(token)
        return added if self._removed is self._added else meet(added, self._removed.entries.get(token))

    @property
    def _blocks(self) -> tuple[Block, Block | None]:
        added, removed = self._added.header, self._removed.header
        assert added is not None
        assert removed is not None
        return added.block, None if removed.block == added.block else removed.block

    def _apply(self, received: float | None) -> None:
        block, removals = self._blocks
        if self._base is not None and self._base == self._agent.blocks:
            tokens = sorted(self._pending)
            entries = [self._entry(token) for token in tokens]
            put = tuple(entry for entry in entries if entry is not None)
            drop = tuple(token for token, entry in zip(tokens, entries, strict=True) if entry is None)
            try:
                self._agent.advance(self._base, Update(block, put, drop, removals), received)
            except Moved:
                self._install(block, removals)
            except (VpnError, OSError):
                self._base = None
                raise
        else:
            self._install(block, removals)
        self._base, self._forked = (block, removals), False
        self._pending.clear()

    def _install(self, block: Block, removals: Block | None) -> None:
        found = [self._entry(token) for token in sorted(self._added.entries)]
        entries = tuple(entry for entry in found if entry is not None)
        left_out = tuple(sorted(self._added.left_out))
        access = AccessList(self._chain.chain_id, self._registry, block, entries, left_out, removals)
        self._agent.install(access, self._chain.block(0).hash, self._forked)

    def _failed(self, error: Exception) -> None:
        kinds = {
            OlderBlock: "behind",
            ChainError: "chain",
            ListRefused: "list",
            ApplyFailed: "apply",
            NodeError: "node",
        }
        kind = next((name for one, name in kinds.items() if isinstance(error, one)), "unexpected")
        self._metrics.faults.labels(kind).inc()
        self._failures += 1
        # Once for each reason: an outage of hours is one line.
        if str(error) != self._fault:
            trace = None if kind != "unexpected" else error
            self._log.warning("cannot follow the chain", kind=kind, reason=str(error), exc_info=trace)
        self._fault = str(error) or type(error).__name__

    def _well(self) -> None:
        if self._fault:
            self._log.info("following the chain", head=self.head.block.number if self.head else None)
        self._fault, self._failures = "", 0

    # ------------------------------------------------------------------ auditing

    def _auditing(self) -> None:
        while not self._stopping.wait(self._rule.audit_every):
            try:
                self.audit()
                self._agent.compact()
            except Exception as error:  # noqa: BLE001 - without this thread no list is audited any more
                self._metrics.faults.labels("audit").inc()
                trace = None if isinstance(error, (ChainError, VpnError, OSError)) else error
                self._log.warning("the list could not be audited", reason=str(error), exc_info=trace)

    def audit(self) -> set[int]:
        """Read the list whole, and have the passes looked at again that are not as they were followed."""
        suspects: set[int] = set()
        for view in {id(view): view for view in (self._added, self._removed)}.values():
            if view.header is None:
                continue
            access = read_access_list(self._chain, self._registry, self._subnet, view.header.block)
            # Whoever changed meanwhile is among them, and is looked at once more for nothing.
            suspects.update(changes_between(view.entries.copy(), access.by_token))
        if suspects:
            self._suspect(suspects)
        return suspects


class Timers:
    """Has ``agent`` do what time alone brings about, to the second."""

    def __init__(self, agent: Agent, clock: Callable[[], float] = time.time) -> None:
        self._agent, self._clock = agent, clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="timers", daemon=True)
        self._log = get_logger("timers")

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _run(self) -> None:
        fault = ""
        while not self._stopping.is_set():
            wait = _tick
            try:
                due = self._agent.tick()
                self._agent.sync()
                wait = _tick if due is None else min(max(due - self._clock(), 0.0), _tick)
                fault = ""
            except Exception as error:  # noqa: BLE001 - without this thread no term ends any more
                if str(error) != fault:
                    trace = None if isinstance(error, (VpnError, OSError)) else error
                    self._log.error("what is due could not be applied", reason=str(error), exc_info=trace)
                fault = str(error)
            self._stopping.wait(wait)
