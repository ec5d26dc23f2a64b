"""The ``berth`` command: thin over the services' APIs.

``terminal``  tables and notes for people, JSON for programs, exit statuses
``stack``     what a deployed stack says of itself
``control``   a node's control API
``access``    ``berth access status | approve | list | verify``
``account``   the wallet that a command acts for
``connect``   ``berth connect``
``lease``     ``berth lease scenarios | register | create | ls | logs | extend | pause | resume | open | rm``
"""
