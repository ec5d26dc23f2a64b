"""One operation of the engine: the program's registrations become steps, steps become provider calls.

==============  ===========================================================================
``options``     what an operation is told and gives back
``operation``   from begin to end: refresh, program, deletions, stack outputs
``process``     the program (started by ``launcher``) and the servers beside it
``monitor``     the gRPC services that the program talks to
``goals``       a registration and its resource; ``values`` and ``paths`` of its properties
``identity``    which old resource it continues: URNs and aliases
``steps``       what to do for it: same, create, update, replace, read, import
``scope``       what was asked for (``--target``, ``--replace``)
``plan``        what an update is held to (``--plan``), and making it
``callbacks``   the program's transforms and hooks
``policies``    what policy packs (``analyzer``) say of it, set by ``policyconfig`` and its ``schema``
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

from engine.deploy.options import DeploymentFailed, Job, Options, Program, Result
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

    return Operation(Job(program, config, options, emit), snapshot, save, cancel).run()
