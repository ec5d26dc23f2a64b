"""Secrets in messages: whoever wrote the message may not have known what is one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from engine.events import Diagnostic, Event, StepFailed, Violation


def masker(secrets: Iterable[str]) -> Callable[[str], str]:
    """Replaces each of the texts by ``[secret]``, as they are and as JSON writes them.

    As in the real CLI a text of one or two characters stays, and so do ``true`` and ``false``: masking them would
    tear messages apart and tell the secret all the same.
    """
    known = {text for text in secrets if len(text) > 2 and text.lower() not in ("true", "false")}
    known |= {json.dumps(text)[1:-1] for text in known}
    if not known:
        return lambda text: text
    pattern = re.compile("|".join(re.escape(text) for text in sorted(known, key=len, reverse=True)))
    return lambda text: pattern.sub("[secret]", text)


def masked(event: Event, mask: Callable[[str], str]) -> Event:
    """The event with its message masked."""
    if isinstance(event, (Diagnostic, StepFailed, Violation)):
        return replace(event, message=mask(event.message))
    return event
