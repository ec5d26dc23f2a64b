"""What a call of the program meets after the operation has ended: its providers are closed by then."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from engine.deploy.monitor import _guarded
from engine.provider import ProviderError


class Aborted(Exception):
    pass


def abort(*_: Any) -> None:
    raise Aborted


@pytest.mark.parametrize(
    "error", [ProviderError("Channel closed!"), ValueError("Cannot invoke RPC on closed channel!")]
)
@pytest.mark.parametrize(("ended", "told"), [(False, 1), (True, 0)])
def test_a_failure_counts_until_the_end(error: Exception, ended: bool, told: int) -> None:
    failures: list[str] = []
    release = threading.Event()

    def meets(*_: Any) -> None:
        if ended:
            release.set()
        raise error

    executor = SimpleNamespace(fail=lambda message, urn="": (failures.append(message), release.set()))
    with pytest.raises(Aborted):
        _guarded("the call")(meets)(
            SimpleNamespace(executor=executor, release=release), None, SimpleNamespace(abort=abort)
        )
    assert len(failures) == told
