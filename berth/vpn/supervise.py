"""``python -m berth.vpn.supervise``: process 1 of a node.  It starts the agent, and starts it anew where it is killed.

WireGuard and firewall outlive the agent that way, and no peer loses its session: what the new agent finds, it takes
over.  An agent that ends by itself ends the container, with its status.  Standard library alone, to stay small.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Final

_told: Final = {signal.SIGTERM, signal.SIGINT}
_soon: Final = 10.0  # seconds; an agent that lives less than this ...
_patience: Final = 5  # ... so many times in a row is not started again
_pause: Final = 0.5  # seconds before the next start after such a short life


def supervise(command: Sequence[str]) -> int:
    """Run ``command`` until it ends by itself or is told to by SIGTERM or SIGINT; its exit status (128 + signal)."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_told, signal.SIGCHLD})
    short = 0
    while True:
        started = time.monotonic()
        told, status = _run(command)
        code = os.waitstatus_to_exitcode(status)
        if told or code >= 0:
            return code if code >= 0 else 128 - code
        short = short + 1 if time.monotonic() - started < _soon else 0
        if short == _patience:
            _say(f"{command[-1]} was killed by signal {-code} {short} times in a row, giving up")
            return 1
        _say(f"{command[-1]} was killed by signal {-code}, starting it anew")
        if short:
            time.sleep(_pause)


def _run(command: Sequence[str]) -> tuple[bool, int]:
    """Whether it was told to end, and the wait status it ended with."""
    child = os.posix_spawnp(command[0], list(command), os.environ, setsigmask=[])
    told = False
    while True:
        received = signal.sigwaitinfo({*_told, signal.SIGCHLD}).si_signo
        if received != signal.SIGCHLD:
            told = True
            os.kill(child, received)
            continue
        # Signals of the same kind come as one; whoever was left behind by the agent is our child as well.
        while (ended := _reap()) is not None:
            if ended[0] == child:
                return told, ended[1]


def _reap() -> tuple[int, int] | None:
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None


def _say(text: str) -> None:
    # As the agent logs, without its libraries.
    sys.stderr.write(f'{{"level": "warning", "service": "node/{os.environ.get("NODE_ID", "")}", "event": "{text}"}}\n')
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(supervise([sys.executable, "-m", "berth.vpn"]))
