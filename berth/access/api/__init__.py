"""The access API: how a person with a wallet becomes a peer, without paying gas.

``settings``   from the environment
``errors``     refusals, each with a reason code
``bounded``    state in memory that cannot grow: things that expire, and rates
``origins``    where the page is served, who the caller is, and what a browser may send
``signin``     the EIP-4361 message, made here, and its signature
``sessions``   signed and short-lived
``challenge``  proof that the caller has the private half of a key
``relay``      sends what a holder signed, from an account of its own
``passes``     the passes of an account, and its devices
``nodes``      the nodes that may be offered, and how they are
``balance``    the relay's account, looked at in the background
``service``    checks in their order, then the relay
``requests``   the bodies that routes take
``app``        the routes
``run``        the service put together
"""
