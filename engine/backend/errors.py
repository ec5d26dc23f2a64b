"""Errors for the person at the keyboard: what happened, where, and what to do."""

from __future__ import annotations


class EngineError(Exception):
    """Ends a command; ``exit_code`` follows Pulumi's table."""

    exit_code = 1


class StackLocked(EngineError):
    """Another operation is under way, or its lock is left."""


class DamagedState(EngineError):
    """The state file cannot be read, or contradicts itself."""


class ConfigurationError(EngineError):
    """A wrong flag, setting or project file."""

    exit_code = 2


class WrongPassphrase(ConfigurationError):
    """The passphrase is not this stack's, or a secret was altered."""


class StackNotFound(EngineError):
    """No stack is selected, or it does not exist."""

    exit_code = 6


class ChangesProposed(EngineError):
    """There are changes though ``--expect-no-changes`` was given."""

    exit_code = 7


class Cancelled(EngineError):
    """Stopped by Ctrl-C, or by "no" to the question."""

    exit_code = 8
