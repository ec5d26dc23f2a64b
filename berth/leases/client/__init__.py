"""The lease API, as a program calls it: for the command, the demo and tests.

``service``  ask for leases, look, extend, pause, resume, end, open
``follow``   a log as it is written, over breaks of the connection
"""
