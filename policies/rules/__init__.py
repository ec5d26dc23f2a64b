"""One module per concern: ``secrets``, ``containers``, ``network``; each ends with its ``policies``.

A rule is a function from a :class:`~.subject.Subject` to messages: testable without a pack, a server or an engine.
Mandatory is what keeps people and data safe, advisory what is good style.
"""
