"""WireGuard through a TCP bridge on this machine, for networks that block UDP: what ``berth tunnel`` does.

``bridges``  which bridges there are, in which order, and what fits through them
``program``  the client end (``berth-bridge udp2tcp``): finds it, runs it, asks it how it is
``peers``    moves the allowed IPs of a WireGuard interface to the peer of another node
``keeper``   all of it together: keeps the list fresh and follows the program from node to node
"""
