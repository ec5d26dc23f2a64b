"""What the manager writes is what its guard lets through."""

from __future__ import annotations

import time

from berth.leases.engine import spec
from berth.leases.guard.archive import check_archive
from berth.leases.guard.containers import container
from berth.leases.guard.networks import network
from berth.leases.guard.strict import decode, encode
from berth.leases.names import pool_label, spec_label
from berth.leases.scenario import HealthCheck, Limits, Template
from tests.unit.leases.guard.world import echo, policy

owner, lease, until = "berth/dev", "01jd0000000000000000000000", time.time() + 3600


def test_a_container_of_a_lease() -> None:
    template = Template(
        image=echo,
        command=("serve",),
        environment={"WHO": "{user}"},
        tmpfs={"/tmp": 16, "/var/run": 4},
        limits=Limits(disk_mib=0),
        health=HealthCheck(command=("/echo", "-health")),
    )
    values = {"lease": lease, "name": "ann", "user": "ann", "host": "ann.test.localhost", "tokens": "5"}
    labelled = spec.labels(owner, lease, "main", until, "ann")
    made = spec.body(template, labelled, "berth-dev-leases", (), told=True, port=8080, values=values)
    assert container(policy(), decode(encode(made))) == made


def test_a_container_that_waits_and_a_part_of_a_lease() -> None:
    waiting = {**spec.labels(owner, lease, "main", until, None), pool_label: "basic", spec_label: "0123abcd"}
    made = spec.body(Template(image=echo), waiting, "berth-dev-leases", (), told=False, port=8080)
    container(policy(), decode(encode(made)))
    part = spec.labels(owner, lease, "store", until, "ann")
    made = spec.body(Template(image=echo), part, "berth-dev-lease-ann", ("store",), told=False, port=8080)
    container(policy(), decode(encode(made)))


def test_a_network_of_a_lease() -> None:
    labelled = spec.labels(owner, lease, "main", until, "ann")
    for egress in (False, True):
        made = spec.network("berth-dev-lease-ann", labelled, "10.91.1.16/28", "10.91.1.17", egress)
        assert network(policy(), decode(encode(made))) == made


def test_what_a_lease_is_told() -> None:
    check_archive(spec.told({"lease": lease}))
