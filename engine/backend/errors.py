"""Errors for the person at the keyboard: what happened, where, and what to do.

EngineError
├── ConfigurationError   a wrong flag, setting or project file
├── StackNotFound
├── StackLocked
├── WrongPassphrase
├── DamagedState
├── ChangesProposed      though ``--expect-no-changes`` was given
└── Cancelled            stopped by Ctrl-C, or "no" to the question
"""

from __future__ import annotations


class EngineError(Exception):
    """``exit_code`` follows Pulumi's table."""

    exit_code = 1


class ConfigurationError(EngineError):
    exit_code = 2


class StackNotFound(EngineError):
    exit_code = 6


class StackLocked(EngineError):
    pass


class WrongPassphrase(EngineError):
    exit_code = 2


class DamagedState(EngineError):
    pass


class ChangesProposed(EngineError):
    exit_code = 7


class Cancelled(EngineError):
    exit_code = 8
