from __future__ import annotations

import pytest

from tests.component.recorder import Recorder, declare_program


@pytest.fixture(params=["dev", "staging", "prod"])
def program(request: pytest.FixtureRequest) -> tuple[str, Recorder]:
    """The whole program, once per stack file: (stack, what it registers)."""
    return request.param, declare_program(request.param)
