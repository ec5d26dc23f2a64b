"""One operation of the engine: the program's registrations become steps, steps become provider calls.

==============  ===========================================================================
``options``     what an operation is told and gives back
``operation``   from begin to end: refresh, program, deletions, stack outputs
``language``    starts the program with ``launcher`` and passes on what it prints
``monitor``     the gRPC services that the program talks to
``goals``       a registration, freed of the wire; ``values`` and ``paths`` of its properties
``identity``    which old resource it continues: URNs and aliases
``steps``       what to do for it: same, create, update, replace, read, import
``scope``       what was asked for (``--target``, ``--replace``); ``bystanders`` are left alone
``plan``        what an update is held to (``--plan``), and making it
``callbacks``   the program's transforms and hooks
``deletions``   what goes, and in which order
``refresh``     what is really there
``recovery``    what an engine that was killed left under way
``execute``     doing it: provider calls, state before and after, events
``state``       the snapshot while it changes
``plugins``     providers by reference: ``dynamic`` ones, Docker's, the ``builtin``
==============  ===========================================================================
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from engine.deploy.options import DeploymentFailed, Options, Program, Result
from engine.events import Emit
from engine.model import Secret, Snapshot

__all__ = ["DeploymentFailed", "Options", "Program", "Result", "run"]


def run(
    program: Program,
    config: dict[str, str | Secret],
    snapshot: Snapshot,
    options: Options,
    save: Callable[[Snapshot], None],
    emit: Emit,
    cancel: threading.Event,
) -> Result:
    """Carry out one operation on a stack.

    ``config`` has full keys (``"berth:chain"``), decrypted; objects are JSON strings.  ``snapshot`` is not
    changed.  ``save`` is called before and after each provider call that changes something, never in a
    preview, one call at a time.  ``emit`` gets Started first and Finished last, one call at a time.  After
    ``cancel`` is set no new step starts, running ones are waited for.

    Raises :class:`DeploymentFailed` when a step or the program failed, after reporting it.
    """
    from engine.deploy.operation import Operation  # the CLI's other verbs should not pay for gRPC

    return Operation(program, config, snapshot, options, save, emit, cancel).run()
