"""What can go wrong on a node.

::

    VpnError
    ├── NodeError                the node itself is not well: look at its log and its capabilities
    │   ├── CommandFailed        wg, ip or nft refused, or did not answer in time
    │   ├── Unreadable           the peers could not be read in full; nothing was changed
    │   └── StoreDamaged         a file on the volume is not what this node wrote
    ├── Drifted                  peers are not as they were left; nothing was changed, reconcile in whole
    ├── Moved                    another list was applied meanwhile: look again
    ├── NotPending               nothing waits for approval under that name
    ├── ApplyFailed              a change did not take effect
    │   ├── RolledBack           ... and the peers are as they were before
    │   └── RollbackFailed       ... and neither did the way back: the peers need a look
    └── ListRefused              the list asked for is not the chain's; the peers were not touched

A chain that cannot be read is a :class:`berth.chain.errors.ChainError`; the peers are not touched either.
"""

from __future__ import annotations


class VpnError(Exception):
    """Anything on a node; the message is fit for the person who asked."""


class NodeError(VpnError):
    """The node itself is not well."""


class CommandFailed(NodeError):
    """A command refused, or did not answer in time."""


class Unreadable(NodeError):
    """The peers could not be read in full; nothing was changed."""


class StoreDamaged(NodeError):
    """A file on the volume is not what this node wrote."""


class Drifted(VpnError):
    """The peers that a change names are not as they were left; nothing was changed.  Reconcile in whole."""


class ApplyFailed(VpnError):
    """A change did not take effect."""


class RolledBack(ApplyFailed):
    """The change did not take effect, and the peers are as they were before."""


class RollbackFailed(ApplyFailed):
    """Neither the change nor the way back took effect."""


class ListRefused(VpnError):
    """The chain does not give the list that was asked for; the peers were not touched."""


class Moved(VpnError):
    """Another list was applied meanwhile; nothing was changed."""


class NotPending(VpnError):
    """Nothing waits for approval under that name."""
