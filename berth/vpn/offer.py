"""Offers the node's gateway what it needs: listening sockets in the tunnel, and whose each tunnel address is.

The gateway (:mod:`berth.vpn.gateway`) is in a container of its own, outside the node's network; a socket stays in the
network where it was made, whoever accepts from it.  One gateway at a time is served, for as long as it listens.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from berth.access.tunnel import Subnets
from berth.kit.logging import get_logger
from berth.vpn.errors import NodeError
from berth.vpn.gateway.listener import Listener, look
from berth.vpn.gateway.wire import Hello, owner_word, owners_line, ready
from berth.vpn.owners import Feed, Owned, Owners

_patience: Final = 5.0  # seconds in which a gateway has to take what it is told
_free_bind: Final = ((socket.IPPROTO_IP, 15), (socket.IPPROTO_IPV6, 78))
"""IP_FREEBIND and IPV6_FREEBIND, which :mod:`socket` does not name."""


class Offer:
    """Serves the gateway at ``path``.

    ``addresses``: the node's own in the tunnel; ``port``: where peers find the gateway there.
    """

    def __init__(self, node: str, path: Path, addresses: Sequence[str], port: int, subnets: Subnets, owners: Owners):
        self._node, self._addresses, self._port = node, tuple(addresses), port
        self._subnets, self._owners = subnets, owners
        self._listener = Listener(path, "offer", self._serve, backlog=1, lost="the gateway is not served any more")
        self._served = False
        self._log = get_logger("offer")

    def start(self) -> None:
        """Listen; OSError where the folder is not there, or not this node's."""
        self._listener.start()

    def stop(self) -> None:
        """Ends the thread, and waits for it."""
        self._listener.stop()

    def check(self) -> str:
        """For health reports; NodeError while no gateway is there."""
        if not self._served:
            raise NodeError("no gateway listens: see `make logs` of it")
        return f"{len(self._owners)} addresses"

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(_patience)
        listeners = [_bound(address, self._port) for address in self._addresses]
        try:
            hello = Hello(self._node, self._addresses).line()
            sent = socket.send_fds(connection, [hello], [each.fileno() for each in listeners])
            connection.sendall(hello[sent:])
        finally:
            # The gateway has them now: when it ends, nobody listens.
            for each in listeners:
                each.close()
        feed = self._owners.listen()
        try:
            self._tell(connection, feed)
        finally:
            self._served = False
            feed.close()

    def _tell(self, connection: socket.socket, feed: Feed) -> None:
        connection.sendall(owners_line(self._told(feed.take(0))))
        while not self._listener.stopping.is_set():
            if owned := feed.take(look):
                connection.sendall(owners_line(self._told(owned)))
            if select.select([connection], [], [], 0)[0]:
                # Once that it answers peers, and then nothing any more: what can be read is its end.
                if self._served or connection.recv(len(ready)) != ready:
                    self._log.warning("the gateway has gone")
                    return
                self._served = True
                self._log.info("the gateway is served", addresses=len(self._owners))

    def _told(self, owned: Owned) -> dict[str, str | None]:
        """In the words of the wire, with the IPv6 addresses, where the tunnel has some."""
        first = {at: None if one is None else owner_word(one.token, one.holder) for at, one in owned.items()}
        second = {self._subnets.address6(address): word for address, word in first.items()}
        second.pop("", None)
        return {**first, **second}


def _bound(address: str, port: int) -> socket.socket:
    """Bound, and not listening yet.  Also where the address is not there yet, or comes anew with the interface."""
    six = ":" in address
    made = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(*_free_bind[six], 1)
        if six:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
    except OSError as error:
        made.close()
        raise OSError(f"no socket at {address} port {port}: {error}") from None
    return made
