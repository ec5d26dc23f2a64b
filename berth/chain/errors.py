"""What can go wrong between us and a chain.

::

    ChainError
    ├── TemporaryError           the same call may work later
    │   ├── ChainUnreachable     no answer, or none in time, or not JSON-RPC, and
    │   │   └── AnswerTooLarge   more than is read: ask for less
    │   └── BlockGone            the endpoint cannot answer for that block (reorg, pruned, not there yet)
    └── PermanentError           someone has to change something first
            ├── WrongChain           the endpoint serves another chain
        ├── NoContract           there is no contract (of ours) at the address
        ├── CallFailed           the endpoint or the contract refused the call
        └── TransactionFailed    a transaction was refused or reverted
"""

from __future__ import annotations


class ChainError(Exception):
    """Anything between us and the chain; the message is fit for the person who asked."""


class TemporaryError(ChainError):
    """The same call may work later."""


class PermanentError(ChainError):
    """Trying again changes nothing: someone has to change something first."""


class ChainUnreachable(TemporaryError):
    """The endpoint did not answer, not in time, or not in JSON-RPC."""


class AnswerTooLarge(ChainUnreachable):
    """The answer is larger than what is read of one: the same question about less may be answered."""


class BlockGone(TemporaryError):
    """The endpoint knows no such block, or no longer has its state."""


class WrongChain(PermanentError):
    """The endpoint serves another chain than the stack is set to."""


class NoContract(PermanentError):
    """There is no code at the address, or what is there does not answer as our contract does."""


class CallFailed(PermanentError):
    """JSON-RPC error ``code`` with its ``data`` (hex, the revert reason, may be empty)."""

    def __init__(self, message: str, code: int = 0, data: str = "") -> None:
        super().__init__(message)
        self.code, self.data = code, data


class TransactionFailed(PermanentError):
    """A transaction was refused before it was sent, reverted, or was not mined in time.

    ``error`` and ``arguments``: the contract's own error by name, where it gave one that its ABI knows.
    """

    def __init__(self, message: str, error: str = "", arguments: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.error, self.arguments = error, arguments
