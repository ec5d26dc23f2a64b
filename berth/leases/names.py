"""Names and labels of what belongs to leases; pure."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from berth.leases.model import Lease
from berth.leases.scenario import main

stack_label: Final = "berth.stack"
lease_label: Final = "berth.lease"
role_label: Final = "berth.lease.role"
user_label: Final = "berth.lease.user"
until_label: Final = "berth.lease.until"
pool_label: Final = "berth.pool"
spec_label: Final = "berth.pool.spec"


@dataclass(frozen=True)
class Names:
    """Of one stack."""

    stack: str

    @property
    def owner(self) -> str:
        """The value of :data:`stack_label`."""
        return f"berth/{self.stack}"

    def main(self, lease: Lease) -> str:
        """The container that a gateway finds by name: the public one, or a node's, which knows the caller's pass."""
        if lease.exposure == "public":
            return f"berth-{self.stack}-lease-{lease.name}"
        return f"berth-{self.stack}-vpn-{vpn_label(lease.holder_of or '', lease.wallet or '', lease.name)}"

    def part(self, lease: str, number: int) -> str:
        return f"berth-{self.stack}-part-{lease}-{number}"

    def pool(self, lease: str) -> str:
        return f"berth-{self.stack}-pool-{lease}"

    def network(self, name: str) -> str:
        return f"berth-{self.stack}-lease-{name}"

    def containers(self, lease: Lease) -> dict[str, str]:
        """Role -> container name, ``main`` last: it may rely on the others."""
        roles = [role for role in lease.images if role != main]
        return {role: self.container(lease, role) for role in [*roles, main]}

    def container(self, lease: Lease, role: str) -> str:
        """The container of one role of a lease; ``images`` has the roles in their order."""
        if role == main:
            return self.main(lease)
        return self.part(lease.id, [r for r in lease.images if r != main].index(role) + 1)

    def owned(self, lease: str | None = None) -> dict[str, list[str]]:
        """Docker's filters for everything of the stack's leases, or of one."""
        which = lease_label if lease is None else f"{lease_label}={lease}"
        return {"label": [f"{stack_label}={self.owner}", which]}


def vpn_label(token: str, holder: str, name: str) -> str:
    """What names a lease to the gateways of nodes, which know the caller's pass and its holder and compute the same.

    So who buys the pass and registers it has no name for what the seller leased, from the first request on.  A hash
    of 128 bits: all three together are longer than a label of a DNS name may be.
    """
    return "h" + sha256(f"{token}-{holder.lower()}-{name}".encode()).hexdigest()[:32]
