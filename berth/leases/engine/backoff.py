"""When to try again: after a time that doubles, with jitter, so that what failed together is not tried together."""

from __future__ import annotations

import random
from typing import Final

first_seconds: Final = 0.25
longest_seconds: Final = 20.0


def delay(attempt: int, source: random.Random | None = None) -> float:
    """Seconds before attempt ``attempt + 1``: between half of and the whole doubling, at most ``longest_seconds``."""
    whole = min(longest_seconds, first_seconds * float(1 << min(max(attempt, 1) - 1, 30)))
    return whole * (0.5 + 0.5 * (source or random).random())
