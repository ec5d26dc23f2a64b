"""Who signed out at the access API, whose sessions the manager takes as well: they end here within seconds."""

from __future__ import annotations

import asyncio
from typing import Final

import httpx

from berth.access.api.sessions import Sessions, ended_path
from berth.kit.logging import get_logger

_look_seconds: Final = 2.0
_answers_within: Final = 3.0


class SignOuts:
    """Asks the access API at ``url`` inside the stack; while it does not answer, what was heard before counts."""

    def __init__(self, url: str, sessions: Sessions) -> None:
        self._url, self._sessions = url.rstrip("/") + ended_path, sessions
        self._log = get_logger("signouts")
        self.error: str | None = None

    async def run(self) -> None:
        """For ever."""
        async with httpx.AsyncClient(timeout=_answers_within, trust_env=False) as client:
            while True:
                try:
                    answer = (await client.get(self._url)).raise_for_status().json()
                    self._sessions.learn(str(name) for name in answer["ended"])
                except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
                    if self.error is None:
                        self._log.warning("cannot tell who signed out", reason=f"{type(error).__name__}: {error}")
                    self.error = f"the access API does not say who signed out ({type(error).__name__})"
                else:
                    self.error = None
                await asyncio.sleep(_look_seconds)
