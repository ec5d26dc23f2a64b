"""The one error of set-up."""

from __future__ import annotations


class SetupError(Exception):
    """A step could not be done.

    Args:
        what: what failed, and where.
        todo: what the person at the keyboard can do about it.
        output: the last lines of the command that failed, if one did.
    """

    def __init__(self, what: str, todo: str, output: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.todo = todo
        self.output = output
