"""The node's gateway: HAProxy, which answers peers at the node's tunnel address with the leases of their own passes.

It runs in a container of its own, on the leases' network and not in the node's: the node's agent makes the listening
sockets in the tunnel and hands them over, with whose each tunnel address is.  So peers are not routed to leases, and
leases have no way to the node.

``wire``       what the node's agent and the gateway tell each other
``node``       the node, as the gateway hears it
``proxy``      HAProxy with the owners of one connection to the node
``closer``     ends what is open to a lease, for the manager of leases
``service``    puts them together
``settings``   from the environment
``errors``     what can go wrong
"""
