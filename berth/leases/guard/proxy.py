"""A client's connection: read a call whole, decide, pass on what was decided, and stream the answer back."""

from __future__ import annotations

import asyncio
import contextlib
import json
from time import perf_counter
from typing import Any, Final

import h11

from berth.kit.logging import correlate, get_logger
from berth.leases.guard.decide import Decider, Passed
from berth.leases.guard.errors import Refused
from berth.leases.guard.metrics import GuardMetrics
from berth.leases.guard.policy import GuardPolicy
from berth.leases.guard.routes import Deed, find
from berth.leases.guard.upstream import Answer, Upstream

largest_body: Final = 256 * 1024  # bytes; of an archive five times as much
_archive: Final = 5 * largest_body
_chunk: Final = 64 * 1024
_idle_seconds: Final = 120.0
_request_seconds: Final = 15.0
_kept: Final = (b"content-type", b"api-version", b"docker-experimental", b"ostype", b"server")
_framing: Final = (b"content-length", b"transfer-encoding")


class Proxy:
    """Serves clients by ``policy``; :meth:`handle` is what an asyncio server calls for each."""

    def __init__(self, policy: GuardPolicy, upstream: Upstream, decider: Decider, metrics: GuardMetrics) -> None:
        self._policy, self._upstream, self._decider, self._metrics = policy, upstream, decider, metrics
        self._log = get_logger("guard")

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """All calls of one connection, one after another."""
        self._metrics.open.inc()
        client = _Client(reader, writer)
        try:
            while await self._serve(client):
                client.connection.start_next_cycle()
        except (OSError, TimeoutError, h11.LocalProtocolError, EOFError) as error:
            self._log.debug("connection ended", reason=type(error).__name__)
        finally:
            self._metrics.open.dec()
            writer.close()

    async def _serve(self, client: _Client) -> bool:
        """One call; whether the connection can take another."""
        with correlate():
            try:
                request = await client.request()
                if request is None:
                    return False
                started = perf_counter()
                method, target = request.method.decode(), request.target.decode("latin-1")
                refused: Refused
                try:
                    call = find(self._policy, method, target)
                    body = await client.body(_archive if call.route.deed is Deed.upload else largest_body)
                    passed = await self._decider.decide(call, body)
                    self._metrics.seconds.observe(perf_counter() - started)
                    return await self._pass(client, passed, call.route.path)
                except Refused as error:
                    refused = error
                self._log.warning(
                    "refused", method=method, target=target[:400], kind=refused.kind, reason=refused.reason
                )
            except h11.RemoteProtocolError as error:
                refused = Refused("syntax", f"not HTTP as it is spoken here: {error}", 400)
                self._log.warning("refused", kind=refused.kind, reason=refused.reason)
            self._metrics.refused.labels(refused.kind).inc()
            return await client.refuse(refused)

    async def _pass(self, client: _Client, passed: Passed, route: str) -> bool:
        async with self._upstream.ask(passed.method, passed.target, passed.body, passed.kind, passed.upgrade) as answer:
            self._metrics.passed.labels(passed.method, route, answer.status).inc()
            if answer.upgraded:
                await client.upgrade(answer)
                return False
            return await client.stream(answer, passed.method)


class _Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.connection = h11.Connection(h11.SERVER, max_incomplete_event_size=32 * 1024)

    async def request(self) -> h11.Request | None:
        """The next call's head; None when the client has gone."""
        event = await self._event(_idle_seconds)
        if isinstance(event, h11.ConnectionClosed):
            return None
        assert isinstance(event, h11.Request)
        names = [name for name, _ in event.headers]
        if sum(name in _framing for name in names) > 1:
            # Two readers may disagree about where such a call ends.
            raise h11.RemoteProtocolError("the length of the body is said in two ways")
        return event

    async def body(self, most: int) -> bytes:
        read = bytearray()
        async with asyncio.timeout(_request_seconds):
            if self.connection.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            while True:
                event = await self._event(_request_seconds)
                if isinstance(event, h11.Data):
                    read += event.data
                    if len(read) > most:
                        raise Refused("size", f"a body may have {most} bytes", 413)
                elif isinstance(event, h11.EndOfMessage):
                    return bytes(read)
                elif isinstance(event, h11.ConnectionClosed):
                    raise EOFError

    async def refuse(self, refused: Refused) -> bool:
        """In the form of Docker's own errors; afterwards only a call that was read whole leaves a usable connection."""
        if self.connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return False
        text = json.dumps({"message": refused.reason}).encode()
        if self.connection.their_state is h11.SEND_BODY:
            with contextlib.suppress(h11.RemoteProtocolError):
                self.connection.next_event()  # of a call without a body this is its end
        whole = self.connection.their_state is h11.DONE
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(text)))]
        if not whole:
            headers.append(("Connection", "close"))
        await self._send(h11.Response(status_code=refused.status, headers=headers))
        await self._send(h11.Data(data=text))
        await self._send(h11.EndOfMessage())
        return whole and self._reusable()

    async def stream(self, answer: Answer, method: str) -> bool:
        """The answer, piece by piece, until it ends or the client goes."""
        headers = [(name, value) for name, value in answer.headers if name in _kept]
        length = [(name, value) for name, value in answer.headers if name == b"content-length"]
        await self._send(h11.Response(status_code=answer.status, headers=[*headers, *length]))
        gone = asyncio.create_task(self._gone())
        try:
            while True:
                piece = asyncio.create_task(answer.piece())
                await asyncio.wait({piece, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not piece.done():
                    piece.cancel()
                    return False
                if (data := piece.result()) is None:
                    break
                if method != "HEAD":
                    await self._send(h11.Data(data=data))
            await self._send(h11.EndOfMessage())
        finally:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
        return self._reusable() and gone.cancelled()

    async def upgrade(self, answer: Answer) -> None:
        """From here on bytes, as they come; what the client says is dropped: there is no way in."""
        head = b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
        self._writer.write(head + b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n" + answer.rest())
        await self._writer.drain()

        async def out() -> None:
            while data := await answer.reader.read(_chunk):
                self._writer.write(data)
                await self._writer.drain()

        async def drop() -> None:
            while await self._reader.read(_chunk):
                pass

        tasks = {asyncio.create_task(out()), asyncio.create_task(drop())}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _reusable(self) -> bool:
        return self.connection.our_state is h11.DONE and self.connection.their_state is h11.DONE

    async def _gone(self) -> bool:
        """Ends when the client has closed; what it sends meanwhile waits for its turn."""
        kept = 0
        while data := await self._reader.read(_chunk):
            self.connection.receive_data(data)
            kept += len(data)
            if kept > largest_body:
                break
        return True

    async def _event(self, seconds: float) -> Any:
        while True:
            event = self.connection.next_event()
            if event is not h11.NEED_DATA:
                return event
            data = await asyncio.wait_for(self._reader.read(_chunk), seconds)
            self.connection.receive_data(data)

    async def _send(self, event: Any) -> None:
        data = self.connection.send(event)
        if data:
            self._writer.write(data)
            await self._writer.drain()
