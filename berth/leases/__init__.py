"""Leases: containers that come fast, live as long as was asked, and always go.

What is wanted is in MongoDB, what is shows as labels on containers, and what happens goes through Redis, which may be
lost.  Deadlines are also in a journal on disk, which an independent process reads (:mod:`berth.leases.reaper`).

===============  =====================================================================================
``model``        a lease, its phases and the moves between them; pure
``scenario``     what can be leased: the shape of LEASES_FILE, which the stack's settings share
``settings``     the service's environment
``clock``        time that neither steps nor ends with a restart of the service
``spec``         what Docker is asked to make, with every limit and lock; pure
``store``        leases in MongoDB; quotas are its unique indexes
``journal``      deadlines on disk
``dock``         Docker, where "not known" is never "not there"
``engine``       provision, removal, pause; ``pool``, ``deadlines``, ``reconcile`` and ``watch`` beside it
``events``       what happened, for browsers; ``logs`` what leases wrote (both Redis streams)
``api``          HTTP and WebSockets
===============  =====================================================================================

``python -m berth.leases`` is the manager, ``python -m berth.leases.reaper`` the reaper.
"""
