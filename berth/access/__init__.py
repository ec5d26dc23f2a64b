"""The access list: who may be a WireGuard peer, read from the chain at one block.

``model``    entries, the list and its digest, pure
``merkle``   the tree under the digest, pure
``tunnel``   slot -> tunnel address, pure
``read``     the list at one block, through an endpoint
``current``  the list as it is now, changed in O(change), pure
``follow``   from head to head: what a block touched, and what counts of it now
``policy``   what holds when the chain says something unlikely, or nothing, pure
``peering``  from the list to the peers that are let in now, pure
``diff``     desired against actual peers, pure
``receipt``  what was applied, verifiable offline, pure
``pin``      the block that a preview showed, kept for the update that follows
``wireguard_key``, ``possession``   which keys may be a peer, and the proof of having the private half, pure
``api``      the service behind the Connect page and ``berth connect``: sign-in, relay, devices, nodes
``client``   what ``berth connect`` does, without a terminal
``errors``   what can go wrong; a failed read raises, it never looks like an empty list
"""
