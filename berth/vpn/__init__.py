"""The WireGuard node: applies the access list to one interface, and nothing else decides who is a peer.

``settings``   from the environment
``keys``       the node's key pair, made here and never leaving
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
``store``      the last good list and the receipts, on the node's volume
``agent``      owns the applied list, reads the chain, refuses what it cannot reproduce
``api``        /health, /metrics and the control API
``errors``     what can go wrong
"""
