"""The WireGuard node: applies the access list to one interface, and nothing else decides who is a peer.

``settings``   from the environment
``keys``       the node's key pair, made here or given, and never leaving
``interface``  creates wg0, by kernel module or wireguard-go
``peer``       one peer and one interface, as they are read
``uapi``       the control socket of a wireguard-go
``wireguard``  reads and changes the peers of an interface, through ``wg`` or the control socket
``fingerprint``  one hash over all peers, that follows each change
``audit``      whether all peers are those that should be there, now and then and after each change
``heal``       puts interface, WireGuard and firewall back, and calls who had a session
``reconcile``  desired peers in, a transaction with read-back out
``supervise``  process 1: starts the agent anew where it is killed, and WireGuard lives on
``target``     what peers may reach, as the setting spells it
``firewall``   what peers may reach, by nftables
``files``, ``store``   the last good list and the receipts, on the node's volume
``applied``    the list and the peers as applied: each change is one transaction
``owners``     whose each tunnel address is, for those who answer people by their pass
``offer``, ``gateway``   HAProxy at the tunnel address, which lets each pass to its own leases
``agent``      lets in one change after the other, refuses what the chain does not give
``source``     the list that was asked for, from the chain
``follower``   hears of new heads, moves the list on, audits it now and then
``announce``   puts the node into NodeRegistry, from a process of its own
``sampler``, ``stats``, ``metrics``   who is connected, and how the node is
``api``        /health, /stats, /metrics, /ping and the control API
``node``       puts all of it together
``errors``     what can go wrong
"""
