"""What can go wrong with a bridge."""

from __future__ import annotations


class TunnelError(Exception):
    """Root of the bridge's errors."""


class ProgramUnreachable(TunnelError):
    """The forwarding program does not answer on its control socket: it is starting, or has ended."""


class ProgramRefused(TunnelError):
    """The forwarding program refuses a change; the message says why."""


class ProgramKeepsEnding(TunnelError):
    """The forwarding program ended again and again: see its own lines in the log."""
