"""What ``berth connect`` does, without a terminal: for the command, the demo and tests.

``errors``   what can go wrong
``wallet``   an account from a key file or keystore, which signs here
``service``  the access API, as a program calls it
``device``   the WireGuard key pair, and the wg-quick file
``tunnel``   through a TCP bridge, where UDP is blocked
``probe``    how far the nodes are, and which to take
"""
