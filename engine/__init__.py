"""An embedded Pulumi engine: runs an ordinary Pulumi Python program where no Pulumi CLI can be had.

It speaks Pulumi's own gRPC protocol (``pulumi.runtime.proto``) to the unchanged program and to its
dynamic providers, and reads and writes Pulumi's own state in a ``file://`` backend, so that either
engine can take over from the other.  It knows nothing of the programs it runs.

=============  =========================================================================
``cli``        verbs and flags, as the Pulumi CLI names them
``backend``    what is on disk: project and stack files, state, history, locks, secrets
``deploy``     one operation: the program's registrations become steps, steps become calls
``docker``     the Docker provider (``pulumi_docker``'s resource types) on docker-py
``display``    events become a live tree, a diff, or JSON
``model``      resources and values, shared by all of the above
``events``     what a deployment reports while it runs
``provider``   what a deployment asks of a provider
=============  =========================================================================
"""
