"""The gateway's runtime socket: which sessions are revoked, and connections that end with them.

The gateway checks sessions by itself and asks nobody, so that revoking one means telling it.  What it is told it
forgets when it starts anew: the key :data:`ready` says that its map has been filled, and without it the gateway lets
nobody in who needs a session.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from typing import Final

revoked_map: Final = "/run/berth/revoked.map"
addresses_map: Final = "/run/berth/addresses.map"
sessions_map: Final = "/run/berth/sessions.map"
ready: Final = "ready"
"""The key in the map of what is revoked that says: it has been filled since HAProxy started."""

_seconds: Final = 3.0
_key: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_one: Final = re.compile(r"^(?=0x[0-9a-f]+: )", re.MULTILINE)
_line: Final = re.compile(r"^0x[0-9a-f]+ (\S+) (\S+)$", re.MULTILINE)


class GatewayAway(Exception):
    """The runtime socket does not answer; what was to be said has to be said again."""


class Gateway:
    """HAProxy behind its runtime socket at ``path``."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def ready(self) -> bool:
        """Whether it knows what is revoked since it started."""
        return "found=yes" in await self._ask(f"get map {revoked_map} {ready}")

    async def revoked(self) -> dict[str, int]:
        """Key (a session's or a lease's id) -> unix time until which it is revoked."""
        shown = await self._ask(f"show map {revoked_map}")
        return {key: int(until) for key, until in _line.findall(shown) if until.isdigit()}

    async def restore(self, entries: Mapping[str, int]) -> None:
        """Tells it everything that is revoked and still valid otherwise, and then that this is all."""
        known = await self.revoked()
        for key, until in entries.items():
            if key not in known:
                await self.revoke(key, until)
        if ready not in known:
            await self._change(f"add map {revoked_map} {ready} 0")

    async def revoke(self, key: str, until: int) -> None:
        """Refuses a session (by its id) or all of a lease (by its id) from now on; open connections stay."""
        await self._change(f"add map {revoked_map} {_plain(key)} {int(until)}")

    async def forget(self, keys: Iterable[str]) -> None:
        """Takes out what is past its time anyway."""
        for key in keys:
            await self._ask(f"del map {revoked_map} {_plain(key)}")
        # What it keeps for itself stays until it is asked for again, and would grow.
        for kept in (addresses_map, sessions_map):
            await self._ask(f"clear map {kept}")

    async def close(self, address: str) -> int:
        """Ends the open connections to the lease at this address; how many there were.

        A session's own cannot be told apart from others of its lease: those come back with a session that counts.
        """
        leads = re.compile(rf"\bserver=any .*\baddr={re.escape(address)}:")
        ended = 0
        for shown in _one.split(await self._ask("show sess all")):
            if leads.search(shown):
                await self._ask(f"shutdown session {shown.partition(':')[0]}")
                ended += 1
        return ended

    async def _change(self, command: str) -> None:
        answer = (await self._ask(command)).strip()
        if answer:
            raise GatewayAway(f"the gateway refuses `{command.split(' ', 1)[0]} map`: {answer[:200]}")

    async def _ask(self, command: str) -> str:
        try:
            async with asyncio.timeout(_seconds):
                reader, writer = await asyncio.open_unix_connection(self._path)
                try:
                    writer.write(command.encode() + b"\n")
                    await writer.drain()
                    return (await reader.read()).decode(errors="replace")
                finally:
                    writer.close()
        except (OSError, TimeoutError) as error:
            raise GatewayAway(f"the gateway's runtime socket does not answer: {type(error).__name__}") from error


def _plain(key: str) -> str:
    """A command is a line of words: nothing else may be in one.  Errors: ``ValueError``."""
    if not _key.fullmatch(key) or key == ready:
        raise ValueError(f"not the id of a session or lease: {key[:80]!r}")
    return key
