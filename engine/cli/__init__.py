"""The ``pulumi`` command: verbs and flags as Pulumi's own CLI names them.

===============  ===================================================================
``main``         the root command; errors become messages and exit codes
``flags``        shared flags, and the real CLI's flags that are not here, by name
``session``      project, backend, stack and secrets of one command
``interrupt``    Ctrl-C once and twice
``operations``   ``up``, ``preview``, ``refresh``, ``destroy``
``stack``        ``stack ...``
``config``       ``config ...``
===============  ===================================================================
"""
