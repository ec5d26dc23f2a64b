"""The lease engine: what is wanted is written down, then a worker per lease makes it so.

A lease's phase says what is wanted; :class:`~berth.leases.advance.Advance` compares it with Docker and takes the next
step, whoever changed what in between.  So asking, expiring, deleting, a restart and a repair are all the same: write
the phase (compare-and-set), and kick the worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final, Protocol

from berth.kit.logging import correlate, get_logger
from berth.kit.tasks import end
from berth.leases.clock import Clock
from berth.leases.dock import Dock
from berth.leases.engine import backoff, crash
from berth.leases.engine.deadlines import Deadlines
from berth.leases.errors import LeaseError, Permanent, Temporary, Unanswered, Unknown
from berth.leases.model import Ending, Failed, Illegal, Lease, Phase, alive, ending, why
from berth.leases.names import Names
from berth.leases.scenario import Catalogue, Scenario
from berth.leases.store import journal
from berth.leases.store.leases import Store, Vanished

give_up_after: Final = 6  # attempts to make a lease


class Step(Protocol):
    """What a worker does: one step towards what is wanted; False when there is nothing left to do."""

    async def __call__(self, lease: Lease) -> bool: ...


Told = Callable[[str, Lease, str], None]


class Engine:
    """One per stack; ``tell`` hears of every change as (kind, lease, sentence)."""

    def __init__(
        self, catalogue: Catalogue, store: Store, dock: Dock, clock: Clock, keeper: journal.Journal, names: Names,
        warnings: tuple[int, ...], tell: Told,
    ) -> None:  # fmt: skip
        self.catalogue, self.store, self.dock, self.clock = catalogue, store, dock, clock
        self.names, self.deadlines, self.tell = names, Deadlines(clock), tell
        self._journal, self._warnings = keeper, warnings
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._watchers: dict[str, set[asyncio.Future[Lease]]] = {}
        self._step: Step | None = None
        self._log = get_logger("engine")
        self.known: dict[str, Lease] = {}
        self.stopping = False
        self._spawned: set[asyncio.Task[None]] = set()

    def use(self, step: Step) -> None:
        """What the workers do."""
        self._step = step

    # ------------------------------------------------------------ writing what is wanted

    async def admit(self, lease: Lease, subnets: int = 0) -> Lease:
        """A new lease, written down and in the journal; Full, Taken, Temporary."""
        # Both before Docker hears of it; neither waits for the other.
        noted = asyncio.create_task(self._note(lease))
        try:
            placed = await self.store.insert(lease, subnets)
        except BaseException:
            await noted
            await self._journal.drop(lease.id)
            raise
        await noted
        crash.point("claim.inserted" if placed.warm else "provision.inserted")
        self.adopt(placed)
        return placed

    async def change(self, identifier: str, change: Callable[[Lease], Lease], kick: bool = True) -> tuple[Lease, Lease]:
        """(before, after) of a change that was written; its worker goes on.  Illegal, Vanished, Temporary."""

        def marked(before: Lease) -> Lease:
            shown = self.clock.rebased(before)
            after = change(shown)
            if after is shown:
                return before
            if not after.expires.boot:
                return replace(after, expires=self.clock.deadline(after.expires.at))
            return after

        current = self.known.get(identifier) or await self.store.get(identifier)
        if current is not None:
            planned = marked(current)
            # A later end is on disk before anybody counts on it.
            if self.clock.left(planned.expires) > self.clock.left(current.expires):
                await self._note(planned, must=True)
        before, after = await self.store.update(identifier, marked)
        if after is not before:
            await self.settled(before, after)
            if kick:
                self.kick(identifier)
        return before, after

    async def step_to(self, before: Lease, after: Lease) -> Lease | None:
        """For workers: written if nobody changed the lease meanwhile, else None."""
        if not await self.store.swap(before, after):
            self._again.add(before.id)
            return None
        await self.settled(before, after)
        return after

    async def settled(self, before: Lease, after: Lease) -> None:
        """What follows from a change that was written: journal, timers, whoever waits for it."""
        if after.phase is Phase.gone:
            self.forget(after.id)
            await self._journal.drop(after.id)
        else:
            self.adopt(after)
            if after.expires != before.expires:
                await self._note(after)
        for waiting in self._watchers.pop(after.id, set()):
            if not waiting.done():
                waiting.set_result(after)

    def adopt(self, lease: Lease) -> None:
        """Knows the lease from here on: its timers are set."""
        self.known[lease.id] = lease
        if lease.phase in alive:
            self.deadlines.set(lease.id, "end", lease.expires, lambda: self._spawn(self.expire(lease.id)))
            self._set_warning(lease)
        else:
            self.deadlines.cancel(lease.id)

    def forget(self, identifier: str) -> None:
        """Knows nothing of the lease any more."""
        self.known.pop(identifier, None)
        self.deadlines.cancel(identifier)

    async def end(self, identifier: str, by: Ending, failed: Failed | None = None) -> Lease:
        """Deleting, from whatever phase; the lease as it is then.  Vanished, Temporary."""

        def change(lease: Lease) -> Lease:
            if lease.phase is Phase.deleting or lease.phase is Phase.gone:
                return lease
            return lease.to(Phase.deleting, ended_by=lease.ended_by or by, failed=failed)

        before, after = await self.change(identifier, change)
        if after is not before:
            self.tell("failed" if by == "failed" else "deleting", after, why(after))
        return after

    async def until(self, identifier: str, test: Callable[[Lease], bool], seconds: float) -> Lease | None:
        """The lease once ``test`` holds, or as it is after so many seconds; None where it is not known."""
        ends = asyncio.get_running_loop().time() + seconds
        lease = self.known.get(identifier) or await self.store.get(identifier)
        while lease is not None and not test(lease):
            left = ends - asyncio.get_running_loop().time()
            if left <= 0:
                break
            waiting: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
            self._watchers.setdefault(identifier, set()).add(waiting)
            try:
                async with asyncio.timeout(left):
                    lease = await waiting
            except TimeoutError:
                lease = self.known.get(identifier) or await self.store.get(identifier)
            finally:
                self._watchers.get(identifier, set()).discard(waiting)
        return lease

    async def idle(self, identifier: str, seconds: float) -> None:
        """Waits until its worker is done with what is to be done now, at most so many seconds."""
        worker = self._workers.get(identifier)
        if worker is not None and not worker.done():
            await asyncio.wait({worker}, timeout=seconds)

    # ------------------------------------------------------------ making it so

    def kick(self, identifier: str) -> None:
        """Has the lease looked at, now or as soon as its worker is done with what it does."""
        if self.stopping:
            return
        self.deadlines.cancel(identifier, "retry")
        worker = self._workers.get(identifier)
        if worker is None or worker.done():
            self._workers[identifier] = asyncio.create_task(self._work(identifier))
        else:
            self._again.add(identifier)

    def is_busy(self, identifier: str) -> bool:
        """Whether its worker is at it."""
        worker = self._workers.get(identifier)
        return worker is not None and not worker.done()

    async def stop(self) -> None:
        """Lets workers end the step that they are in, for some seconds."""
        self.stopping = True
        running = [task for task in self._workers.values() if not task.done()]
        if running:
            _, late = await asyncio.wait(running, timeout=4)
            await end(*late)

    async def _work(self, identifier: str) -> None:
        assert self._step is not None
        with correlate(f"lease-{identifier}"):
            try:
                more = True
                while more and not self.stopping:
                    self._again.discard(identifier)
                    lease = await self.store.get(identifier)
                    if lease is None or lease.phase is Phase.gone:
                        self.forget(identifier)
                        return
                    more = await self._try(lease) or identifier in self._again
            except Temporary as error:
                # Not even MongoDB: the timer asks again, and so does the next reconciliation.
                self._log.warning("a lease has to wait", lease=identifier, reason=str(error))
                self.deadlines.set(identifier, "retry", self.clock.after(1.0), lambda: self.kick(identifier))
            finally:
                if self._workers.get(identifier) is asyncio.current_task():
                    del self._workers[identifier]

    async def _try(self, lease: Lease) -> bool:
        """One step; what fails is written at the lease, and tried again later or given up."""
        assert self._step is not None
        try:
            return await self._step(lease)
        except Illegal:
            return True  # somebody moved it: look again
        except LeaseError as error:
            return await self._failed(lease, error)

    async def _failed(self, lease: Lease, error: Exception) -> bool:
        step = lease.phase.value
        attempts = lease.failed.attempts + 1 if lease.failed and lease.failed.step == step else 1
        now = self.clock.wall()
        making = lease.phase in (Phase.requested, Phase.creating)
        # Who is away will come back: only what is said about this lease counts against it.
        away = isinstance(error, Temporary) and (isinstance(error, Unanswered) or not isinstance(error, Unknown))
        hopeless = making and (isinstance(error, Permanent) or (attempts >= give_up_after and not away))
        wait = backoff.delay(attempts)
        failed = Failed(step, str(error)[:500], attempts, now, None if hopeless else now + wait)
        self._log.warning(
            "a step failed", lease=lease.id, step=step, attempts=attempts, reason=str(error), gave_up=hopeless
        )
        if hopeless:
            await self.end(lease.id, "failed", failed)
            return True

        def note(current: Lease) -> Lease:
            return current.changed(failed=failed) if current.phase is lease.phase else current

        await self.change(lease.id, note, kick=False)
        self.deadlines.set(lease.id, "retry", self.clock.after(wait), lambda: self.kick(lease.id))
        return False

    # ------------------------------------------------------------ time

    async def expire(self, identifier: str) -> None:
        """Ends the lease if its time is over; tries again by itself where MongoDB is away."""

        def change(lease: Lease) -> Lease:
            if lease.phase in ending or lease.phase is Phase.gone or self.clock.left(lease.expires) > 0:
                return lease
            return lease.to(Phase.expiring, ended_by="expired")

        try:
            before, after = await self.change(identifier, change)
        except Vanished:
            self.forget(identifier)
        except Temporary as error:
            self._log.warning("a lease's end has to wait", lease=identifier, reason=str(error))
            again = self.clock.after(0.5)
            self.deadlines.set(identifier, "end", again, lambda: self._spawn(self.expire(identifier)))
        else:
            if after is not before:
                self.tell("expiring", after, why(after))
            elif after.phase in alive:
                self.adopt(after)  # it was extended meanwhile

    def _set_warning(self, lease: Lease) -> None:
        left = self.clock.left(lease.expires)
        coming = [seconds for seconds in self._warnings if seconds not in lease.warned and seconds < left]
        if not coming or lease.phase is Phase.paused:
            self.deadlines.cancel(lease.id, "warn")
            return
        seconds = max(coming)
        at = self.clock.after(left - seconds)
        self.deadlines.set(lease.id, "warn", at, lambda: self._spawn(self._warn(lease.id, seconds)))

    async def _warn(self, identifier: str, seconds: int) -> None:
        def change(lease: Lease) -> Lease:
            if lease.phase not in alive or seconds in lease.warned or self.clock.left(lease.expires) > seconds:
                return lease
            return lease.changed(warned=(*lease.warned, seconds))

        try:
            before, after = await self.change(identifier, change, kick=False)
        except (Vanished, Temporary) as error:
            self._log.warning("a warning was not given", lease=identifier, reason=str(error))
        else:
            if after is not before:
                self.tell("warning", after, f"ends in {seconds} s: its time is over then; extend it to keep it")

    async def _note(self, lease: Lease, must: bool = False) -> None:
        try:
            await self._journal.put(journal.Entry(lease.id, lease.expires, lease.hard))
        except OSError as error:
            if must:
                raise Temporary(f"the journal cannot be written: {error.strerror}") from error
            # Without it the reaper waits until the hard maximum; the timers here do not need it.
            self._log.error("a deadline is not in the journal", lease=lease.id, reason=error.strerror)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._spawned.add(task)
        task.add_done_callback(self._spawned.discard)

    def scenario_of(self, lease: Lease) -> Scenario:
        """The lease's scenario; Permanent where the stack has it no more."""
        found = self.catalogue.scenarios.get(lease.scenario)
        if found is None:
            raise Permanent(f"the scenario {lease.scenario} is not there any more")
        return found
