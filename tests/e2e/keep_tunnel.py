"""What `berth tunnel` does, inside a client's container: the images of services have no command line.

Bridges come as JSON on standard input, the node's address in the tunnel as the argument; prints a JSON line for each
change until it is killed.
"""

import json
import sys
import time
from pathlib import Path

from berth.access.client.tunnel.bridges import Bridge
from berth.access.client.tunnel.keeper import Keeper, choose
from berth.access.client.tunnel.peers import Interface
from berth.access.client.tunnel.program import Program

listen = "127.0.0.1:51888"
bridges = [Bridge(**one) for one in json.load(sys.stdin)]
node = bridges[0].node


def say(**members: object) -> None:
    print(json.dumps(members), flush=True)


with Program(
    Path("/usr/local/bin/berth-bridge"), listen, choose(bridges, node, anywhere=True), nudge=f"{sys.argv[1]}:9"
) as program:
    keeper = Keeper(program, lambda: bridges, node, listen, Interface("wg0"), lambda text: say(said=text))
    last = None
    while True:
        status = keeper.step()
        if (now := (status.node, status.endpoint, status.peer)) != last:
            say(node=status.node, endpoint=status.endpoint, peer=status.peer, failovers=status.failovers)
        last = now
        time.sleep(0.2)
