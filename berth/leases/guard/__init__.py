"""The filtered Docker proxy: the only holder of Docker's socket, one for each client and role.

``strict``      JSON without doubled keys, and what an object may hold
``policy``      what one guard lets through, as data; names and labels of this stack
``containers``  the body of a container that may be created, made anew from what was understood
``networks``    the same of networks and of who joins them
``routes``      method, path and query of each call that there is
``upstream``    one call to the daemon
``ownership``   whose an id or a name is, asked of the daemon once
``proxy``       a client's connection: read, decide, pass on, stream back

Nothing that a client sends is passed on as it is: method, path, query and body are parsed, and what goes to the
daemon is written anew from what was understood.  So a key that only the daemon would see does not exist.
"""
