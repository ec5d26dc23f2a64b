"""Docker, as leases need it: few verbs, each safe to repeat, and three kinds of answer.

Done, not there (:class:`Missing`), or not known (:class:`~berth.leases.errors.Unknown`): an error of Docker's own and
no answer in time both mean that it may or may not have happened, never that something is gone.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

from berth.kit.logging import get_logger
from berth.leases.errors import LeaseError, Permanent, Unanswered, Unknown

api: Final = "v1.41"
_connect_seconds: Final = 5.0
call_seconds: Final = 30.0
_pull_seconds: Final = 600.0
_log: Final = get_logger("docker")
# What registries and daemons say of an image that no other attempt will find.
_nowhere: Final = re.compile(
    r"not found|denied|unauthorized|manifest unknown|does not exist|no such (image|manifest)|invalid reference", re.I
)
_forever: Final = aiohttp.ClientTimeout(total=None, sock_connect=_connect_seconds)


class Missing(LeaseError):
    """There is no such thing: Docker said so."""


class Conflict(LeaseError):
    """The name is taken, or the thing is in another state than the verb needs."""


class Dock:
    """The daemon behind ``host``, usually by way of a guard; ``parallel`` calls that change something at once."""

    def __init__(self, host: str, parallel: int) -> None:
        connector: aiohttp.BaseConnector
        # No limit of connections: each log that is followed holds one.
        if host.startswith("unix://"):
            connector, self._base = aiohttp.UnixConnector(host.removeprefix("unix://"), limit=0), f"http://docker/{api}"
        else:
            connector, self._base = aiohttp.TCPConnector(limit=0), f"http://{host.removeprefix('tcp://')}/{api}"
        limits = aiohttp.ClientTimeout(total=call_seconds, sock_connect=_connect_seconds)
        self._session = aiohttp.ClientSession(connector=connector, timeout=limits)
        self._turns = asyncio.Semaphore(parallel)
        self._bounds_disks = True

    async def close(self) -> None:
        await self._session.close()

    async def ping(self) -> None:
        """Unknown where nobody answers."""
        async with self._call("GET", "_ping", "ping"):
            pass

    # ------------------------------------------------------------ looking

    async def containers(self, filters: Mapping[str, list[str]]) -> list[dict[str, Any]]:
        """Containers in every state, as ``GET /containers/json`` shows them."""
        found: list[dict[str, Any]] = await self._get("containers/json", all="1", filters=json.dumps(filters))
        return found

    async def networks(self, filters: Mapping[str, list[str]]) -> list[dict[str, Any]]:
        """Networks, as ``GET /networks`` shows them."""
        found: list[dict[str, Any]] = await self._get("networks", filters=json.dumps(filters))
        return found

    async def inspect(self, container: str) -> dict[str, Any]:
        """One container; Missing where there is none."""
        found: dict[str, Any] = await self._get(f"containers/{container}/json")
        return found

    async def has_image(self, image: str) -> bool:
        try:
            await self._get(f"images/{image}/json")
        except Missing:
            return False
        return True

    async def stats(self, container: str) -> dict[str, Any]:
        """One sample of what it uses."""
        found: dict[str, Any] = await self._get(f"containers/{container}/stats", **{"stream": "0", "one-shot": "1"})
        return found

    # ------------------------------------------------------------ changing

    async def create(self, name: str, body: Mapping[str, Any]) -> str:
        """The new container's id; Conflict where the name is taken, Missing where the image is.

        A bound on its disk is left out where Docker's storage driver has none.
        """
        async with self._turns:
            if not self._bounds_disks:
                body = _without_disk(body)
            try:
                made = await self._post("containers/create", f"create {name}", body, name=name)
            except (Permanent, Unknown) as error:
                if "storage-opt" not in str(error).lower() or "StorageOpt" not in body.get("HostConfig", {}):
                    raise
                _log.warning("Docker's storage driver cannot bound a container's disk", reason=str(error))
                self._bounds_disks = False
                made = await self._post("containers/create", f"create {name}", _without_disk(body), name=name)
        return str(made["Id"])

    async def start(self, container: str) -> None:
        """Running, also if it was before."""
        async with self._turns:
            await self._post(f"containers/{container}/start", f"start {container}")

    async def signal(self, container: str, name: str) -> None:
        await self._post(f"containers/{container}/kill", f"signal {container}", signal=name)

    async def pause(self, container: str) -> None:
        await self._post(f"containers/{container}/pause", f"pause {container}")

    async def unpause(self, container: str) -> None:
        await self._post(f"containers/{container}/unpause", f"unpause {container}")

    async def wait(self, container: str) -> None:
        """Until it ended, or was not running anyway."""
        await self._post(f"containers/{container}/wait", f"wait for {container}")

    async def rename(self, container: str, name: str) -> None:
        await self._post(f"containers/{container}/rename", f"rename {container}", name=name)

    async def put(self, container: str, folder: str, archive: bytes) -> None:
        """Unpacks a tar archive in a folder of the container."""
        params = {"path": folder}
        async with self._call("PUT", f"containers/{container}/archive", f"tell {container}", params, archive):
            pass

    async def remove(self, container: str) -> None:
        """Gone with its volumes, also if it was before."""
        async with self._turns:
            try:
                params = {"force": "1", "v": "1"}
                async with self._call("DELETE", f"containers/{container}", f"remove {container}", params):
                    pass
            except Missing:
                return

    async def create_network(self, body: Mapping[str, Any]) -> str:
        """Its id; Conflict where the name is taken."""
        made = await self._post("networks/create", f"create network {body['Name']}", body)
        return str(made["Id"])

    async def connect(self, network: str, container: str, aliases: list[str]) -> None:
        """On the network, also if it was before."""
        body = {"Container": container, "EndpointConfig": {"Aliases": aliases}}
        try:
            await self._post(f"networks/{network}/connect", f"connect {container}", body)
        except (Conflict, Permanent) as error:
            if "already exists in network" not in str(error):
                raise

    async def remove_network(self, network: str) -> None:
        """Gone, also if it was before."""
        try:
            async with self._call("DELETE", f"networks/{network}", f"remove network {network}"):
                pass
        except Missing:
            return

    async def pull(self, image: str) -> None:
        """Permanent where it is nowhere to be had; Unknown where the registry is away, or will not just now."""
        name, _, tag = image.partition("@") if "@" in image else image.rpartition(":")
        name, tag = (name, tag) if name and "/" not in tag else (image, "latest")
        params = {"fromImage": name, "tag": tag}
        limits = aiohttp.ClientTimeout(total=_pull_seconds)
        missing = f"the image {image} is not here and cannot be pulled"
        try:
            async with self._call("POST", "images/create", f"pull {image}", params, limits=limits) as response:
                # The outcome is in the last line of a stream that has to be read to its end.
                async for line in response.content:
                    said = json.loads(line)
                    if "error" in said:
                        told = f"{missing}: {said['error']}"
                        raise Permanent(told) if _nowhere.search(said["error"]) else Unknown(told)
        except Missing as error:
            raise Permanent(f"{missing}: {error}") from error

    # ------------------------------------------------------------ following

    async def events(
        self, filters: Mapping[str, list[str]], since: float | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Docker's events as they come; Unknown when the stream ends, which is when something may be missed."""
        params = {"filters": json.dumps(filters)}
        if since is not None:
            params["since"] = f"{since:.9f}"
        async with self._call("GET", "events", "events", params, limits=_forever) as response:
            yield {}  # connected: whatever happens from here on is seen
            async for line in response.content:
                yield json.loads(line)
        raise Unknown("events: Docker closed the stream")

    async def log(
        self, container: str, since: float | None, follow: bool, tail: int | None = None
    ) -> AsyncGenerator[tuple[bool, bytes], None]:
        """(from stderr, one line with Docker's time stamp before it), both streams as they were written.

        ``since`` unix seconds.  Ends where the container did, or at the last line without ``follow``.
        """
        params = {"stdout": "1", "stderr": "1", "timestamps": "1", "follow": "1" if follow else "0"}
        if since is not None:
            params["since"] = f"{since:.9f}"
        if tail is not None:
            params["tail"] = str(tail)
        path = f"containers/{container}/logs"
        async with self._call("GET", path, f"logs of {container}", params, limits=_forever) as response:
            reader = response.content
            while True:
                try:
                    header = await reader.readexactly(8)
                    content = await reader.readexactly(int.from_bytes(header[4:8], "big"))
                except asyncio.IncompleteReadError:
                    return
                yield header[0] == 2, content

    async def _get(self, path: str, **params: str) -> Any:
        async with self._call("GET", path, path, params) as response:
            found = await response.json()
        if found is None:
            # So it answers about a container that goes at that very moment.
            raise Unknown(f"{path}: Docker's answer is empty")
        return found

    async def _post(self, path: str, what: str, body: Mapping[str, Any] | None = None, **params: str) -> Any:
        data = None if body is None else json.dumps(body).encode()
        async with self._call("POST", path, what, params, data) as response:
            text = await response.text()
            return json.loads(text) if text.strip() else {}

    @asynccontextmanager
    async def _call(
        self,
        method: str,
        path: str,
        what: str,
        params: Mapping[str, str] | None = None,
        data: bytes | None = None,
        limits: aiohttp.ClientTimeout | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response to one call, its errors turned into what they mean."""
        headers = (
            {} if data is None else {"Content-Type": "application/json" if method == "POST" else "application/x-tar"}
        )
        options: dict[str, Any] = {} if limits is None else {"timeout": limits}
        try:
            async with self._session.request(
                method, f"{self._base}/{path}", params=params, data=data, headers=headers, **options
            ) as response:
                if response.status >= 400:
                    raise _refusal(what, response.status, await response.text())
                yield response
        except TimeoutError as error:
            raise Unanswered(f"{what}: Docker did not answer in time") from error
        except json.JSONDecodeError as error:
            raise Unknown(f"{what}: Docker's answer is cut off") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unanswered(f"{what}: Docker cannot be reached ({error})") from error


def _without_disk(body: Mapping[str, Any]) -> dict[str, Any]:
    host = {key: value for key, value in body.get("HostConfig", {}).items() if key != "StorageOpt"}
    return {**body, "HostConfig": host}


def _refusal(what: str, status: int, text: str) -> LeaseError:
    try:
        told = f"{what}: {json.loads(text)['message']}"
    except (ValueError, KeyError, TypeError):
        told = f"{what}: {text.strip() or status}"
    if status == 404:
        return Missing(told)
    if status == 409:
        return Conflict(told)
    return Permanent(told) if status < 500 else Unknown(told)
