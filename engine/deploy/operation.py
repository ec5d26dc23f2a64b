"""One operation from begin to end: refresh, program, deletions, stack outputs."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from engine.deploy.callbacks import Callbacks
from engine.deploy.deletions import Deletions
from engine.deploy.execute import Executor, Stopped
from engine.deploy.goals import make_urn
from engine.deploy.identity import Problem
from engine.deploy.monitor import Engine, Monitor, serve
from engine.deploy.options import DeploymentFailed, Job, Result
from engine.deploy.plugins import Providers
from engine.deploy.policies import Policies
from engine.deploy.process import Language
from engine.deploy.recovery import Recovery
from engine.deploy.refresh import Refresh
from engine.deploy.state import State
from engine.deploy.steps import Generator
from engine.events import Diagnostic, Event, Finished, Started
from engine.model import Resource, Secret, Snapshot, type_stack
from engine.provider import ProviderError


class Operation:
    """See :func:`engine.deploy.run`."""

    def __init__(self, job: Job, snapshot: Snapshot, save: Callable[[Snapshot], None], cancel: threading.Event) -> None:
        self._emit_lock, self._listener = threading.Lock(), job.emit
        self._job = job = replace(job, emit=self._emit)
        self._options, self._cancel = job.options, cancel
        self._outputs_old = _stack_outputs(snapshot)
        self._state = State(snapshot, None if job.options.preview else save)
        self._callbacks = Callbacks(job)
        self._executor = Executor(job, self._state, self._callbacks, cancel)
        self._providers = Providers(job, self._state, self._executor.news.get)
        self._deletions = Deletions(self._state, self._providers, self._executor)
        self._policies = Policies(job, self._find)
        self._generator = Generator(job, self._state, self._providers, self._executor, self._deletions, self._policies)
        self._monitor = Monitor(job, self._generator, self._executor, self._providers)
        self._language: Language | None = None

    def _emit(self, event: Event) -> None:
        with self._emit_lock:
            self._listener(event)

    def _find(self, urn: str) -> Resource | None:
        return self._executor.news.get(urn) or self._state.olds.get(urn)

    def run(self) -> Result:
        started, program = time.monotonic(), self._job.program
        shown = {key: "[secret]" if isinstance(value, Secret) else value for key, value in self._job.config.items()}
        self._emit(Started(self._options.verb, program.stack, program.project, self._options.preview, shown))
        server, address = serve(self._monitor, Engine(self._emit), self._options.parallel)
        self._providers.engine_address = address
        try:
            self._carry_out(address)
        except Stopped:
            pass
        except Problem as error:
            self._executor.fail(str(error), error.urn)
        except Exception as error:  # noqa: BLE001
            # Whatever it is, the state is saved and the end reported; the traceback is for whoever mends this.
            self._executor.fail(f"{type(error).__name__}: {error}")
        finally:
            self._executor.wait()
            if self._language is not None:
                self._language.close()
            self._callbacks.close()
            self._monitor.release.set()
            server.stop(None)
            self._providers.close()
            self._policies.close()
        return self._finish(started)

    def _carry_out(self, address: str) -> None:
        verb, generator = self._options.verb, self._generator
        try:
            self._policies.load(address)
        except ProviderError as error:
            self._require(str(error))
        refresh = Refresh(self._job, self._state, self._providers, self._executor)
        if self._state.unresolved and not self._options.preview:
            Recovery(self._state, self._providers, self._executor, self._deletions, refresh).run(self._options)
        if verb == "refresh" or self._options.refresh:
            refresh.run()
        if verb == "refresh" and not self._options.targets:
            self._state.settle(*self._state.unresolved)
        self._require(generator.scope.replace.unknown(set(self._state.olds)))
        known = {old.urn for old in self._state.base}
        if verb in ("update", "preview"):
            self._run_program(address)
        if verb != "refresh":
            with self._state.lock:
                steps = self._deletions.leftovers(generator.operated, generator.scope)
            generator.permit(steps)
            self._deletions.run(steps, self._options.parallel)
            self._require(generator.scope.targets.unknown(known | set(generator.goals)))
            for urn in generator.planner.unmet(known):
                self._executor.complain(f"expected resource operations for {urn} but none were seen", urn)
        if verb in ("update", "preview"):
            self._analyze_stack()

    def _require(self, complaint: str) -> None:
        if complaint:
            self._executor.fail(complaint)
            raise Stopped

    def _analyze_stack(self) -> None:
        program, outputs = self._job.program, self._monitor.stack_outputs
        news = [new for urn, new in self._executor.news.items() if urn in self._generator.operated]
        resources = [replace(new, outputs=outputs) if new.type == type_stack and outputs else new for new in news]
        root = make_urn(program.stack, program.project, "", type_stack, f"{program.project}-{program.stack}")
        try:
            if self._policies.analyze_stack(self._generator.goals, resources, root):
                self._executor.troubled = True
        except ProviderError as error:
            self._executor.fail(str(error))

    def _run_program(self, address: str) -> None:
        """Until the program ended, or something else ended the operation."""
        ends: queue.Queue[str | None] = queue.Queue()
        self._monitor.program_done = lambda: ends.put(None)
        self._language = Language(self._job, address, ends.put)
        self._providers.prepare()
        while not self._executor.stopping:
            try:
                end = ends.get(timeout=0.05)
            except queue.Empty:
                continue
            if end is not None:
                self._executor.failed.set()
            if end:
                self._emit(Diagnostic("error", end))
            break
        self._executor.wait()
        if self._executor.stopping:
            raise Stopped

    def _finish(self, started: float) -> Result:
        verb, executor, canceled = self._options.verb, self._executor, self._cancel.is_set()
        failed = executor.stopping or executor.troubled
        try:
            self._take_stack_outputs(executor.stopping)
            self._state.flush()
        except Problem as error:
            executor.fail(str(error), error.urn)
            failed = True
        except Exception as error:  # noqa: BLE001 - what a backend may raise is its own affair
            executor.fail(f"the state could not be saved: {error}")
            failed = True
        if canceled:
            self._emit(Diagnostic("error", f"{verb} canceled"))
        snapshot, changes = self._state.snapshot(), dict(executor.changes)
        elapsed, outputs = time.monotonic() - started, _stack_outputs(snapshot)
        self._emit(Finished(changes, elapsed, failed, self._outputs_old, outputs, self._policies.packs))
        result = Result(snapshot, changes, self._generator.planner.made)
        if failed:
            raise DeploymentFailed("canceled" if canceled else f"{verb} failed", result)
        return result

    def _take_stack_outputs(self, failed: bool) -> None:
        """After a failure an output that is missing may only not have been reached, so the old one stays."""
        outputs = self._monitor.stack_outputs
        stack = next((new for new in self._executor.news.values() if new.type == type_stack), None)
        if outputs is not None and stack is not None:
            self._monitor.set_outputs(stack.urn, {**self._outputs_old, **outputs} if failed else outputs)


def _stack_outputs(snapshot: Snapshot) -> dict[str, object]:
    stack = snapshot.stack()
    return dict(stack.outputs) if stack is not None else {}
