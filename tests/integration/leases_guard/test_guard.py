"""The guard before the real daemon: what leases need works, and nothing else reaches Docker."""

from __future__ import annotations

import io
import json
import tarfile
import threading
import time
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from berth.leases.guard.metrics import GuardMetrics
from berth.leases.guard.run import guard
from berth.leases.guard.upstream import Upstream
from tests.integration.leases_guard.conftest import Guarded, eventually, image, message

pytestmark = pytest.mark.docker


def test_a_lease_lives_its_whole_life_through_the_guard(guarded: Guarded) -> None:
    manager, name = guarded.manager, guarded.name("pool")
    found = guarded.create(name)
    live = guarded.daemon.containers.get(found)
    assert live.attrs["HostConfig"]["CapDrop"] == ["ALL"]
    assert manager.post(f"/containers/{name}/start").status_code == 204
    assert manager.post(f"/containers/{found}/pause").status_code == 204
    claimed = guarded.name()
    assert manager.post(f"/containers/{found}/rename", params={"name": claimed}).status_code == 204
    assert manager.post(f"/containers/{claimed}/unpause").status_code == 204
    shown = manager.get(f"/containers/{found}/json").json()
    assert (shown["Id"], shown["Name"], shown["State"]["Status"]) == (found, f"/{claimed}", "running")
    assert manager.get(f"/containers/{name}/json").status_code == 404
    stats = manager.get(f"/containers/{found}/stats", params={"stream": "false", "one-shot": "true"}).json()
    assert stats["id"] == found
    assert manager.get(f"/containers/{found}/top").json()["Processes"]
    listed = [each["Id"] for each in manager.get("/containers/json").json()]
    assert listed == [found]
    assert guarded.reaper.get(f"/containers/{found}/json").status_code == 200
    assert guarded.reaper.post(f"/containers/{found}/stop", params={"t": "2"}).status_code == 204
    assert guarded.reaper.delete(f"/containers/{found}", params={"v": "true", "force": "true"}).status_code == 204
    assert manager.get("/containers/json", params={"all": "1"}).json() == []


def test_logs_are_streamed_as_they_come_and_end_with_the_client(guarded: Guarded) -> None:
    found = guarded.create(guarded.name())
    guarded.manager.post(f"/containers/{found}/start")
    with guarded.manager.stream("GET", f"/containers/{found}/logs", params={"follow": "1", "stdout": "1"}) as answer:
        times = []
        for piece in answer.iter_raw():
            if b"line" in piece:
                times.append(time.monotonic())
            if len(times) == 4:
                break
    # One every 0.2 s: not all at once, at the end of something.
    assert times[-1] - times[0] > 0.3
    guarded.manager.delete(f"/containers/{found}", params={"force": "1"})


def test_attached_output_comes_through_an_upgraded_connection(guarded: Guarded) -> None:
    found = guarded.create(guarded.name())
    guarded.manager.post(f"/containers/{found}/start")
    head = f"POST /containers/{found}/attach?stream=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: docker\r\n"
    received: list[bytes] = []

    def listen() -> None:
        received.append(guarded.raw(f"{head}Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n".encode(), done=False))

    listener = threading.Thread(target=listen)
    listener.start()
    time.sleep(1)
    guarded.manager.delete(f"/containers/{found}", params={"force": "1"})
    listener.join(10)
    assert received[0].startswith(b"HTTP/1.1 101 UPGRADED\r\n")
    assert received[0].count(b"line\n") >= 2


def test_events_are_those_of_this_stacks_leases(guarded: Guarded) -> None:
    seen: list[dict[str, Any]] = []
    ready = threading.Event()

    def listen() -> None:
        with guarded.manager.stream("GET", "/events", timeout=15) as answer:
            ready.set()
            for line in answer.iter_lines():
                seen.append(json.loads(line))
                if seen[-1]["Action"] == "destroy":
                    return

    listener = threading.Thread(target=listen)
    listener.start()
    ready.wait(10)
    guarded.daemon.containers.get(guarded.foreign).start()
    guarded.daemon.containers.get(guarded.foreign).stop(timeout=0)
    found = guarded.create(guarded.name())
    guarded.manager.delete(f"/containers/{found}")
    listener.join(15)
    assert {event["Actor"]["ID"] for event in seen} == {found}
    assert [event["Action"] for event in seen] == ["create", "destroy"]


calls_on_one = [
    ("GET", "/containers/{}/json"),
    ("GET", "/containers/{}/logs?stdout=1"),
    ("GET", "/containers/{}/stats?stream=false"),
    ("GET", "/containers/{}/top"),
    ("POST", "/containers/{}/start"),
    ("POST", "/containers/{}/stop"),
    ("POST", "/containers/{}/kill"),
    ("POST", "/containers/{}/restart"),
    ("POST", "/containers/{}/pause"),
    ("POST", "/containers/{}/unpause"),
    ("POST", "/containers/{}/wait"),
    ("POST", "/containers/{}/attach?stdout=1"),
    ("DELETE", "/containers/{}?force=1"),
]


@pytest.mark.parametrize(("method", "path"), calls_on_one)
def test_what_is_no_leases_cannot_be_touched_by_name_id_or_the_start_of_one(
    guarded: Guarded, method: str, path: str
) -> None:
    live = guarded.daemon.containers.get(guarded.foreign)
    for reference in (guarded.foreign, guarded.foreign[:12], live.name):
        answer = guarded.manager.request(method, path.format(reference))
        assert answer.status_code == 403, (reference, answer.text)
        assert "of no lease of this stack" in message(answer)
    live.reload()
    assert live.attrs["State"]["Status"] in ("created", "exited")


def test_neither_renaming_nor_an_archive_nor_exec_reaches_what_is_no_leases(guarded: Guarded) -> None:
    name = guarded.name()
    for method, path in (
        ("POST", f"/containers/{guarded.foreign}/rename?name={name}"),
        ("POST", f"/containers/{guarded.foreign}/exec"),
        ("POST", f"/containers/{guarded.foreign}/update"),
        ("GET", f"/containers/{guarded.foreign}/archive?path=/"),
    ):
        assert guarded.manager.request(method, path).status_code == 403
    buffer = io.BytesIO()
    tarfile.open(fileobj=buffer, mode="w").close()
    put = guarded.manager.put(f"/containers/{guarded.foreign}/archive?path=/run/berth-lease", content=buffer.getvalue())
    assert put.status_code == 403


def test_a_lease_cannot_be_given_the_name_of_a_part_of_the_stack(guarded: Guarded) -> None:
    found = guarded.create(guarded.name())
    for name in (f"{guarded.policy.prefix}gateway", "gateway", f"{guarded.policy.prefix}leases"):
        assert guarded.manager.post(f"/containers/{found}/rename", params={"name": name}).status_code == 403
        answer = guarded.manager.post("/containers/create", params={"name": name}, json=guarded.body())
        assert answer.status_code == 403
    assert guarded.manager.post("/containers/create", json=guarded.body()).status_code == 403
    guarded.manager.delete(f"/containers/{found}")


@pytest.mark.parametrize(
    "network", ["bridge", "host", "container:x", "berth-other-leases", "none-such", "berth-guard-x-inside"]
)
def test_a_lease_joins_no_network_but_its_stacks(guarded: Guarded, network: str) -> None:
    answer = guarded.manager.post(
        "/containers/create", params={"name": guarded.name()}, json=guarded.body(NetworkMode=network)
    )
    assert answer.status_code in (403, 404)


def test_a_lease_of_several_containers_has_a_network_of_its_own(guarded: Guarded) -> None:
    manager, name = guarded.manager, guarded.name()
    subnet = str(next(guarded.policy.subnets.subnets(new_prefix=28)))
    body = {"Name": name, "Labels": guarded.labels, "Internal": True, "IPAM": {"Config": [{"Subnet": subnet}]}}
    made = manager.post("/networks/create", json=body)
    assert made.status_code == 201, made.text
    network = made.json()["Id"]
    found = guarded.create(guarded.name(), NetworkMode=name)
    joined = manager.post(f"/networks/{guarded.network}/connect", json={"Container": found, "EndpointConfig": {}})
    assert joined.status_code == 200, joined.text
    for bad in (
        {"Container": guarded.foreign, "EndpointConfig": {}},
        {"Container": found, "EndpointConfig": {"Aliases": ["gateway"]}},
        {"Container": f"{found}/../x", "EndpointConfig": {}},
        {"Container": found, "container": guarded.foreign},
    ):
        assert manager.post(f"/networks/{guarded.network}/connect", json=bad).status_code == 403, bad
    bridge = guarded.daemon.networks.get("bridge").id
    assert manager.post(f"/networks/{bridge}/connect", json={"Container": found}).status_code == 403
    assert manager.delete(f"/networks/{guarded.network}").status_code == 403
    listed = {each["Id"] for each in manager.get("/networks").json()}
    assert listed == {network}
    manager.delete(f"/containers/{found}", params={"force": "1"})
    assert manager.delete(f"/networks/{network}").status_code == 204


def test_what_a_lease_is_told_goes_into_its_volume_and_leaves_with_it(guarded: Guarded) -> None:
    name = guarded.name()
    body = {**guarded.body(), "Volumes": {"/run/berth-lease": {}}}
    found = guarded.manager.post("/containers/create", params={"name": name}, json=body).json()["Id"]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("told.json")
        entry.size = 2
        archive.addfile(entry, io.BytesIO(b"{}"))
    put = guarded.manager.put(f"/containers/{found}/archive?path=/run/berth-lease", content=buffer.getvalue())
    assert put.status_code == 200, put.text
    live = guarded.daemon.containers.get(found)
    (mount,) = live.attrs["Mounts"]
    assert (mount["Type"], mount["Destination"]) == ("volume", "/run/berth-lease")
    assert guarded.manager.delete(f"/containers/{found}", params={"force": "1", "v": "1"}).status_code == 204
    assert mount["Name"] not in [volume.name for volume in guarded.daemon.volumes.list()]


def test_images_are_those_that_the_settings_name(guarded: Guarded) -> None:
    assert guarded.manager.get(f"/images/{image}/json").json()["Id"]
    assert guarded.manager.get("/images/alpine/json").status_code == 403
    assert guarded.manager.post("/images/create", params={"fromImage": "alpine", "tag": "latest"}).status_code == 403
    assert guarded.manager.post("/images/create", params={"fromSrc": "http://10.0.0.1/x"}).status_code == 403


def raw_create(guarded: Guarded, body: bytes, extra: bytes = b"") -> bytes:
    path = f"/containers/create?name={guarded.name()}".encode()
    length = str(len(body)).encode()
    head = b"POST %s HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n" % path
    return guarded.raw(head + extra + b"Content-Length: " + length + b"\r\n\r\n" + body)


def test_doubled_and_differently_cased_keys_never_reach_docker(guarded: Guarded) -> None:
    good = json.dumps(guarded.body())
    for attack in (
        good[:-1] + ', "HostConfig": {"Privileged": true}}',
        good[:-1] + ', "hostconfig": {"Privileged": true}}',
        good.replace('"HostConfig": {', '"HostConfig": {"privileged": true, ', 1),
        good.replace('"HostConfig": {', '"HostConfig": {"Privileged": true, "Privileged": false, ', 1),
        good.replace('"HostConfig": {', '"HostConfig": {"binds": ["/:/host"], ', 1),
        "\ufeff" + good,
    ):
        assert raw_create(guarded, attack.encode())[:12] in (b"HTTP/1.1 403", b"HTTP/1.1 400"), attack
    assert guarded.manager.get("/containers/json", params={"all": "1"}).json() == []


def test_calls_cannot_be_smuggled(guarded: Guarded) -> None:
    hidden = f"DELETE /containers/{guarded.foreign}?force=1 HTTP/1.1\r\nHost: d\r\n\r\n".encode()
    post = b"POST /containers/x/start HTTP/1.1\r\nHost: d\r\n"
    for attack in (
        post + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
        post + b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n" + hidden,
        post + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + hidden,
        post + b"Transfer-Encoding: x\r\n\r\n0\r\n\r\n" + hidden,
        post + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n" + hidden,
        post + b"Content-Length: +5\r\n\r\n" + hidden,
        post + b"Content-Length : 0\r\n\r\n" + hidden,
        b"POST /containers/x/start\r\n HTTP/1.1\r\nHost: d\r\n\r\n" + hidden,
        b"GET /version HTTP/1.1\nHost: d\nX: y\r\rZ: z\n\n" + hidden,
    ):
        received = guarded.raw(attack)
        assert b"HTTP/1.1 204" not in received, received
        guarded.daemon.containers.get(guarded.foreign)
    # What follows a whole call is a call like any other: checked, and refused.
    hidden = hidden.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    received = guarded.raw(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n" + hidden, done=False)
    assert received.count(b"HTTP/1.1 200") == 1
    assert received.count(b"HTTP/1.1 403") == 1


def test_a_chunked_body_is_read_whole_and_passed_on_with_its_length(guarded: Guarded) -> None:
    body = json.dumps(guarded.body()).encode()
    name = guarded.name()
    half = len(body) // 2
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:]))
    head = f"POST /containers/create?name={name} HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n"
    received = guarded.raw(head.encode() + chunks + b"0\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 201"), received
    guarded.manager.delete(f"/containers/{name}")


def test_a_body_that_is_too_long_is_not_read(guarded: Guarded) -> None:
    answer = guarded.manager.post(
        "/containers/create", params={"name": guarded.name()}, content=b" " * 300_000, headers={"Connection": "close"}
    )
    assert answer.status_code == 413
    endless = b"POST /containers/create?name=x HTTP/1.1\r\nHost: d\r\nContent-Length: 99999999\r\n\r\n" + b" " * 300_000
    try:
        received = guarded.raw(endless)
    except (BrokenPipeError, ConnectionResetError):
        received = b""  # the guard has closed before all was sent
    assert received[:12] in (b"", b"HTTP/1.1 413")


def test_a_connection_takes_call_after_call(guarded: Guarded) -> None:
    one = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"
    refused = b"GET /info HTTP/1.1\r\nHost: d\r\n\r\n"
    last = one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    received = guarded.raw(one + refused + last, done=False)
    assert [received.count(b"HTTP/1.1 200"), received.count(b"HTTP/1.1 403")] == [2, 1]


def test_names_are_resolved_once(guarded: Guarded) -> None:
    """While a name passes from a lease to what is none, and back, no call by that name lands there."""
    name = guarded.name()
    lease = guarded.create(guarded.name())
    victim = guarded.daemon.containers.get(guarded.foreign)
    mine = guarded.daemon.containers.get(lease)
    spare, original, stop = guarded.name("part"), victim.name, threading.Event()

    def swap() -> None:
        while not stop.is_set():
            mine.rename(name)
            mine.rename(spare)
            victim.rename(name)
            victim.rename(original)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        codes = set()
        for _ in range(80):
            answer = guarded.manager.get(f"/containers/{name}/json")
            codes.add(answer.status_code)
            assert answer.status_code != 200 or answer.json()["Id"] == lease
    finally:
        stop.set()
        swapper.join(20)
    assert codes <= {200, 403, 404}
    assert {200, 403} <= codes
    eventually("the name is given back", lambda: guarded.daemon.containers.get(guarded.foreign).name == original)


def test_a_daemon_that_is_away_is_said_to_be(guarded: Guarded, tmp_path: Any) -> None:
    path = tmp_path / "guard.sock"
    registry = CollectorRegistry()
    with (
        guard(guarded.policy, Upstream(str(tmp_path / "none.sock")), path, GuardMetrics(registry)),
        httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://d") as client,
    ):
        answer = client.get("/containers/abc/json")
        assert (answer.status_code, message(answer)[:21]) == (503, "Docker does not answe")
        client.get("/info")
    assert registry.get_sample_value("guard_refused_total", {"kind": "docker"}) == 1
    assert registry.get_sample_value("guard_refused_total", {"kind": "route"}) == 1
