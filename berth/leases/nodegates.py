"""The nodes' gateways, behind which leases of exposure ``vpn`` are: connections there that end with a session or lease.

Each listens in a folder that the manager shares with them, and takes one thing: the address of a lease.  Who may come
there is known by the tunnel, so nothing is refused afterwards that the pass lets in.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from berth.leases.gateway import GatewayAway


class NodeGates:
    """Those whose sockets are in ``folder``; without one there are none."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    async def close(self, address: str) -> int:
        """Ends what is open to the lease at this address, at all of them; how many there were.  GatewayAway."""
        paths = sorted(self._folder.glob("*.sock")) if self._folder is not None else []
        return sum(await asyncio.gather(*(self._close(path, address) for path in paths)))

    async def _close(self, path: Path, address: str) -> int:
        try:
            reader, writer = await asyncio.open_unix_connection(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return 0  # it has ended, and with it whatever was open there
        except OSError as error:
            raise GatewayAway(f"{path.stem} does not answer: {type(error).__name__}") from error
        try:
            writer.write(address.encode() + b"\n")
            await writer.drain()
            said = (await reader.readline()).decode(errors="replace").strip()
        except OSError as error:
            raise GatewayAway(f"{path.stem} does not answer: {type(error).__name__}") from error
        finally:
            writer.close()
        if not (said.isascii() and said.isdigit()):
            raise GatewayAway(f"{path.stem} has not closed what is open to {address}: {said[:200]}")
        return int(said)
