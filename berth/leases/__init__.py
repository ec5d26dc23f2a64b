"""Leases: containers that come fast, live as long as was asked, and always go.

What is wanted is in MongoDB, what is shows as labels on containers, and what happens goes through Redis, which may be
lost.  Deadlines are also in a journal on disk, which an independent process reads::

    __main__, run      the manager: python -m berth.leases
      api/             HTTP, WebSockets, who asks, what they see
        engine/        what is wanted is written down, and a worker per lease makes it so
        streams/       events and logs in Redis
          store/       leases and users in MongoDB, the journal
          door         the gateways: who is out, and what is open to whom; nodegates are those of the nodes
          dock         Docker, where "not known" is never "not there"
          holders      who holds a pass, by the chain
            model      a lease, its phases and the moves between them; pure
            scenario   what can be leased: the shape of LEASES_FILE, which the stack's settings share
            names      of containers and networks, and their labels
            clock      time that neither steps nor ends with a restart of the service
            settings, errors
    reaper/            removes what is overdue by itself: python -m berth.leases.reaper
    guard/             a filtered Docker for each of them: python -m berth.leases.guard

What is further in never imports what is further out; a contract in pyproject.toml holds it.
"""
