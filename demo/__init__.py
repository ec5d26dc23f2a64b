"""``make demo``: the whole promise, shown on real containers against the stack that ``make up`` made.

``stack``   what is deployed and how to preview and update it
``deployment``  what the stack's outputs tell
``client``  a WireGuard client in a container of its own, on the network that outsiders are on
``leasing``  a lease that only the tunnel of its pass reaches
``story``   the steps, each of which must hold before the next one starts
"""
