"""The ``pulumi`` command: verbs and flags as Pulumi's own CLI names them."""
