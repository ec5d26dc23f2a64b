"""The TCP bridge: WireGuard where UDP is blocked, in the wire format of mullvad/udp-over-tcp.

The data path is a program of its own (images/bridge/go); this is what puts it into a stack:

``settings``   from the environment, for both ends
``program``    starts the program, and starts it anew where it ends
``control``    speaks to it: statistics, endpoints, whether to accept
``node``       whether the node behind a server end is well
``endpoints``  where a client end may go: from a setting, or from NodeRegistry
``metrics``    what /metrics shows
``service``    puts these together behind /health, /stats and /metrics
"""
