"""Containers on the real daemon."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from engine.docker import DockerProvider
from engine.model import UNKNOWN
from engine.provider import Call, PartialFailure, ProviderError
from tests.engine.docker.world import BASE, CONTAINER, LABELS, NETWORK, VOLUME, Made, World, sleeping, urn

pytestmark = pytest.mark.docker


def rich(world: World, network: str, volume: str) -> dict[str, Any]:
    """Every property that has a value on an ordinary machine."""
    return sleeping(
        world.name("rich"),
        envs=["B=2", "A=1"],
        user="root",
        groupAdds=["1001"],
        workingDir="/srv",
        hostname="rich",
        domainname="example",
        tty=False,
        stdinOpen=True,
        stopSignal="SIGTERM",
        stopTimeout=3,
        runtime="runc",
        healthcheck={
            "tests": ["CMD", "true"], "interval": "500ms", "timeout": "90s", "startPeriod": "1m", "retries": 3
        },
        wait=True,
        waitTimeout=30,
        destroyGraceSeconds=1,
        restart="on-failure",
        maxRetryCount=2,
        volumes=[
            {"volumeName": volume, "containerPath": "/data"},
            {"hostPath": "/tmp", "containerPath": "/h", "readOnly": True},
        ],
        mounts=[
            {"type": "volume", "source": volume, "target": "/a", "readOnly": True, "volumeOptions": {"noCopy": True}},
            {"type": "tmpfs", "target": "/scratch", "tmpfsOptions": {"sizeBytes": 65536.0, "mode": 448}},
        ],
        tmpfs={"/run": "size=1m,mode=755"},
        uploads=[{"file": "/etc/berth.conf", "content": "x=1\n", "permissions": "0600"}],
        shmSize=8,
        ports=[{"internal": 8080, "ip": "127.0.0.1"}, {"internal": 53, "protocol": "udp"}],
        networksAdvanced=[{"name": network, "aliases": ["rich", "other"], "ipv4Address": "172.30.98.9"}],
        hosts=[{"host": "six", "ip": "fd00::1"}, {"host": "four", "ip": "10.0.0.1"}],
        dns=["127.0.0.53"],
        dnsOpts=["ndots:1"],
        dnsSearches=["example"],
        privileged=False,
        capabilities={"adds": ["net_admin", "CAP_CHOWN"], "drops": ["ALL"]},
        securityOpts=["no-new-privileges:true"],
        devices=[{"hostPath": "/dev/null", "containerPath": "/dev/nil"}, {"hostPath": "/dev/zero"}],
        sysctls={"net.ipv4.ip_forward": "1"},
        ulimits=[{"name": "nofile", "soft": 1000, "hard": 2000}],
        pidMode="",
        ipcMode="private",
        memory=64,
        memorySwap=96,
        memoryReservation=32,
        cpus="0.50",
        cpuShares=512,
        cpuSet="0",
        logDriver="json-file",
        logOpts={"max-size": "1m"},
        publishAllPorts=False,
    )  # fmt: skip


def network_and_volume(world: World) -> tuple[str, str]:
    network = world.create(
        NETWORK, {"name": world.name("net"), "labels": LABELS, "ipamConfigs": [{"subnet": "172.30.98.0/24"}]}
    )
    volume = world.create(VOLUME, {"name": world.name("vol"), "labels": LABELS})
    return network.outputs["name"], volume.outputs["name"]


def test_a_rich_container_is_stable(world: World) -> None:
    news = rich(world, *network_and_volume(world))
    made = world.create(CONTAINER, news)
    assert world.diff(made, news).detailed == {}, "right after the creation"
    before = dict(made.inputs)
    world.refresh(made)
    assert made.inputs == before
    assert world.diff(made, news).detailed == {}, "after a refresh"
    world.refresh(made)
    assert world.diff(made, news).changes is False, "after a second refresh"

    outputs = made.outputs
    assert outputs["networkDatas"][0]["ipAddress"] == "172.30.98.9"
    assert {port["internal"]: port["external"] > 0 for port in outputs["ports"]} == {8080: True, 53: True}
    assert (outputs["exitCode"], outputs["containerLogs"]) == (None, None)
    assert outputs["id"] == made.id
    assert "schema_version" in outputs["__meta"]
    assert outputs["capabilities"]["adds"] == ["CAP_CHOWN", "net_admin"], "the program's spelling, in order"
    assert outputs["mounts"][1]["tmpfsOptions"]["sizeBytes"] == 65536


def test_the_daemon_got_what_was_asked(world: World) -> None:
    network, volume = network_and_volume(world)
    made = world.create(CONTAINER, rich(world, network, volume))
    shown = world.inspect(made)
    host, config = shown["HostConfig"], shown["Config"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (64 << 20, 96 << 20, 500_000_000)
    assert set(host["CapAdd"]) == {"net_admin", "CAP_CHOWN"}
    assert host["ExtraHosts"] == ["six:fd00::1", "four:10.0.0.1"]
    assert (host["RestartPolicy"]["Name"], host["RestartPolicy"]["MaximumRetryCount"]) == ("on-failure", 2)
    assert config["Labels"]["berth.test"] == "engine-docker"
    assert set(config["Env"]) >= {"A=1", "B=2"}
    assert config["Healthcheck"]["StartPeriod"] == 60_000_000_000
    assert list(shown["NetworkSettings"]["Networks"]) == [network], "not on the default bridge as well"
    assert set(shown["NetworkSettings"]["Networks"][network]["Aliases"]) >= {"rich", "other"}
    assert world.run(made, "cat", "/etc/berth.conf") == "x=1\n"
    assert world.run(made, "stat", "-c", "%a %U", "/etc/berth.conf").split() == ["600", "root"]
    assert "1048576" in world.run(made, "sh", "-c", "df -B1 --output=size /run")


def test_changes_in_place(world: World, sleeper: Callable[..., Made]) -> None:
    made = sleeper(memory=64, cpus="1")
    news = sleeping(world.name("box"), memory=256, cpus="0.5", restart="always", cpuShares=100, destroyGraceSeconds=2)
    result = world.diff(made, news)
    assert result.replaces == []
    assert result.detailed == {
        "memory": "update", "cpus": "update", "restart": "update", "cpuShares": "add", "destroyGraceSeconds": "add",
    }  # fmt: skip
    id = made.id
    world.update(made, news)
    host = world.inspect(made)["HostConfig"]
    assert (made.id, host["Memory"], host["NanoCpus"], host["CpuShares"]) == (id, 256 << 20, 500_000_000, 100)
    assert host["RestartPolicy"]["Name"] == "always"
    world.refresh(made)
    assert world.diff(made, news).changes is False


def test_drift_of_limits_is_shown_and_repaired(world: World, sleeper: Callable[..., Made]) -> None:
    made = sleeper(memory=64, restart="always")
    world.client.call(
        "POST", f"/containers/{made.id}/update",
        {"Memory": 32 << 20, "MemorySwap": 64 << 20, "RestartPolicy": {"Name": "no"}},
    )  # fmt: skip
    world.refresh(made)
    assert (made.inputs["memory"], made.inputs["restart"]) == (32, "no")
    news = sleeping(world.name("box"), memory=64, restart="always")
    assert world.diff(made, news).detailed == {"memory": "update", "restart": "update"}
    world.update(made, news)
    assert world.inspect(made)["HostConfig"]["Memory"] == 64 << 20


def test_a_stopped_container_is_started_again(world: World, sleeper: Callable[..., Made]) -> None:
    made = sleeper()
    world.client.call("POST", f"/containers/{made.id}/stop", query={"t": 0})
    world.refresh(made)
    assert made.inputs["mustRun"] is False
    assert made.outputs["exitCode"] in (137, 143)
    news = sleeping(world.name("box"))
    assert world.diff(made, news).detailed == {"mustRun": "update"}
    id = made.id
    world.update(made, news)
    assert world.inspect(made)["State"]["Running"] is True
    assert (made.id, made.outputs["mustRun"], made.outputs["exitCode"]) == (id, True, None)
    assert world.diff(made, news).changes is False


def test_a_container_that_need_not_run_may_stop(world: World, sleeper: Callable[..., Made]) -> None:
    made = sleeper(mustRun=False)
    world.client.call("POST", f"/containers/{made.id}/stop", query={"t": 0})
    world.refresh(made)
    assert world.diff(made, sleeping(world.name("box"), mustRun=False)).changes is False


def test_a_deleted_container_is_gone(world: World, sleeper: Callable[..., Made]) -> None:
    made = sleeper()
    world.client.call("DELETE", f"/containers/{made.id}", query={"force": "true"})
    assert world.read(made).id == ""
    world.delete(made)  # already gone: fine


def test_a_network_taken_away_is_drift(world: World, sleeper: Callable[..., Made]) -> None:
    network, _ = network_and_volume(world)
    made = sleeper(networksAdvanced=[{"name": network, "aliases": ["box"]}])
    world.client.call("POST", f"/networks/{network}/disconnect", {"Container": made.id})
    world.refresh(made)
    result = world.diff(made, sleeping(world.name("box"), networksAdvanced=[{"name": network, "aliases": ["box"]}]))
    assert result.replaces == ["networksAdvanced"]
    assert result.delete_before_replace is True


def test_networks_may_be_named_by_id(world: World, sleeper: Callable[..., Made]) -> None:
    network = world.create(NETWORK, {"name": world.name("net"), "labels": LABELS})
    made = sleeper(networksAdvanced=[{"name": network.id}])
    world.refresh(made)
    assert made.inputs["networksAdvanced"][0]["name"] == network.id


def test_job(world: World) -> None:
    news = {
        "name": world.name("job"), "image": BASE, "labels": LABELS, "mustRun": False, "attach": True, "logs": True,
        "command": ["sh", "-c", "echo out; echo err >&2"],
    }  # fmt: skip
    made = world.create(CONTAINER, news)
    assert made.outputs["exitCode"] == 0
    assert sorted(made.outputs["containerLogs"].split()) == ["err", "out"]
    world.refresh(made)
    assert world.diff(made, news).changes is False
    assert sorted(made.outputs["containerLogs"].split()) == ["err", "out"]
    started = world.inspect(made)["State"]["StartedAt"]
    world.update(made, {**news, "restart": "no", "destroyGraceSeconds": 1})
    assert world.inspect(made)["State"]["StartedAt"] == started, "a job that is done is not run again"


def test_a_finished_job_is_no_drift_even_if_must_run_was_left_on(world: World) -> None:
    news = {"name": world.name("job"), "image": BASE, "labels": LABELS, "attach": True, "command": ["true"]}
    made = world.create(CONTAINER, news)
    world.refresh(made)
    assert world.diff(made, news).changes is False


def test_a_failed_job_tells_its_last_words_and_is_run_again(world: World) -> None:
    volume = world.create(VOLUME, {"name": world.name("vol"), "labels": LABELS})
    news = {
        "name": world.name("job"), "image": BASE, "labels": LABELS, "mustRun": False, "attach": True,
        "command": ["sh", "-c", "test -e /data/once && exit 0; touch /data/once; echo no such luck; exit 3"],
        "volumes": [{"volumeName": volume.id, "containerPath": "/data"}],
    }  # fmt: skip
    with pytest.raises(PartialFailure, match=r"ended with exit code 3.*\n.*no such luck") as failure:
        world.create(CONTAINER, news)
    assert failure.value.outputs["exitCode"] == 3
    made = world.made[-1]
    assert failure.value.id == made.id
    world.update(made, news)
    assert made.outputs["exitCode"] == 0


def test_unhealthy_tells_the_last_check_and_the_log(world: World) -> None:
    news = sleeping(
        world.name("ill"), wait=True, waitTimeout=2, command=["sh", "-c", "echo hello from inside; sleep 300"],
        healthcheck={"tests": ["CMD-SHELL", "echo doctor; exit 7"], "interval": "300ms", "retries": 1},
    )  # fmt: skip
    with pytest.raises(PartialFailure) as failure:
        world.create(CONTAINER, news)
    message = str(failure.value)
    assert "did not become healthy within 2 s" in message
    assert "Last health check (exit code 7): doctor" in message
    assert "hello from inside" in message
    assert failure.value.outputs["name"] == world.name("ill")
    with pytest.raises(PartialFailure, match="did not become healthy"):
        world.update(world.made[-1], news)


def test_an_early_end_is_told_at_once(world: World) -> None:
    started = time.monotonic()
    news = sleeping(
        world.name("short"), wait=True, waitTimeout=30, command=["sh", "-c", "echo bye; exit 4"],
        healthcheck={"tests": ["CMD", "true"], "interval": "20s"},
    )  # fmt: skip
    with pytest.raises(PartialFailure, match=r"exit code 4.*\n.*bye"):
        world.create(CONTAINER, news)
    assert time.monotonic() - started < 10


def test_wait_without_a_health_check(world: World) -> None:
    with pytest.raises(PartialFailure, match="no health check to wait for"):
        world.create(CONTAINER, sleeping(world.name("box"), wait=True))


def test_uploads(world: World, sleeper: Callable[..., Made], tmp_path: Any) -> None:
    (tmp_path / "source.bin").write_bytes(b"\x00\x01")
    made = sleeper(
        uploads=[
            {"file": "/run/secrets/key", "content": "top", "permissions": "0400"},
            {"file": "/opt/run.sh", "contentBase64": "ZWNobyBoaQ==", "executable": True},
            {"file": "/opt/source.bin", "source": "source.bin"},
        ]
    )
    assert world.run(made, "sh", "-c", "cd /; stat -c '%a %n' run/secrets/key opt/run.sh opt/source.bin").split() == [
        "400", "run/secrets/key", "744", "opt/run.sh", "644", "opt/source.bin",
    ]  # fmt: skip
    assert world.run(made, "/bin/sh", "/opt/run.sh") == "hi\n"
    assert world.run(made, "od", "-An", "-tx1", "/opt/source.bin").split() == ["00", "01"]


def test_failures_leave_nothing_behind(world: World, sleeper: Callable[..., Made]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        bound = [{"internal": 80, "external": port, "ip": "127.0.0.1"}]
        with pytest.raises(ProviderError, match=rf"port 127.0.0.1:{port} is in use"):
            sleeper("bound", ports=bound)
    for short, more, told in [
        ("lost", {"networksAdvanced": [{"name": "berth-test-nowhere"}]}, "network berth-test-nowhere not found"),
        ("bad", {"command": ["/no/such/program"], "init": False}, "check command and entrypoints"),
        ("ro", {"readOnly": True, "uploads": [{"file": "/etc/x", "content": "x"}]}, "root file system is read-only"),
        ("src", {"uploads": [{"file": "/x", "source": "missing"}]}, "cannot be read"),
    ]:
        with pytest.raises(ProviderError, match=told) as failure:
            sleeper(short, **more)
        assert not isinstance(failure.value, PartialFailure)
    for short in ("bound", "lost", "bad", "ro", "src"):
        assert world.client.find(f"/containers/{world.name(short)}/json") is None


def test_a_taken_name(world: World, sleeper: Callable[..., Made]) -> None:
    sleeper()
    with pytest.raises(ProviderError, match=rf"a container named {world.name('box')} exists already.*docker rm"):
        sleeper()


def test_destroy_waits_for_a_graceful_end(world: World) -> None:
    volume = world.create(VOLUME, {"name": world.name("vol"), "labels": LABELS})
    script = "trap 'echo saved > /data/end; exit 0' TERM; touch /data/ready; while :; do sleep 0.1; done"
    made = world.create(
        CONTAINER,
        sleeping(
            world.name("box"), command=["sh", "-c", script], destroyGraceSeconds=10, init=False,
            volumes=[{"volumeName": volume.id, "containerPath": "/data"}],
        ),
    )  # fmt: skip
    world.run(made, "sh", "-c", "until test -e /data/ready; do sleep 0.1; done")
    world.delete(made)
    assert world.inspect(made) is None
    reader = world.create(
        CONTAINER,
        {
            "name": world.name("read"), "image": BASE, "attach": True, "logs": True, "mustRun": False, "labels": LABELS,
            "command": ["cat", "/data/end"], "volumes": [{"volumeName": volume.id, "containerPath": "/data"}],
        },
    )  # fmt: skip
    assert reader.outputs["containerLogs"] == "saved\n"


def test_previews_touch_nothing(world: World) -> None:
    inputs = world.check(CONTAINER, sleeping(world.name("box"), networksAdvanced=[{"name": UNKNOWN}]))
    result = world.provider.create(Call(urn(CONTAINER), news=inputs, preview=True))
    assert result.id == ""
    assert result.outputs["networkDatas"] is UNKNOWN
    assert result.outputs["name"] == world.name("box")
    assert world.client.find(f"/containers/{world.name('box')}/json") is None


def test_an_image_by_id_and_by_name(world: World, sleeper: Callable[..., Made]) -> None:
    shown = world.client.find(f"/images/{BASE}/json")
    assert shown is not None
    made = sleeper(image=shown["Id"])
    world.refresh(made)
    assert made.inputs["image"] == shown["Id"]
    with pytest.raises(ProviderError, match="cannot be pulled by its id"):
        sleeper("other", image="sha256:" + "0" * 64)


def test_a_container_found_by_id(world: World, sleeper: Callable[..., Made]) -> None:
    made = sleeper(memory=64)
    found = world.provider.read(Call(urn(CONTAINER), made.id))
    assert found.inputs is not None
    assert (found.inputs["name"], found.inputs["memory"]) == (world.name("box"), 64)
    assert "restart" not in found.inputs


def test_a_port_in_use_is_told_before_anything_is_touched(world: World) -> None:
    def inputs(port: int) -> dict[str, Any]:
        return sleeping(world.name("ports"), ports=[{"internal": 80, "external": port, "ip": "127.0.0.1"}])

    careful = DockerProvider(preflight=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        used = listener.getsockname()[1]
        asked = Call(urn(CONTAINER, "ports"), news=inputs(used))
        refused = careful.check(asked).failures
        assert [failure.property for failure in refused] == ["ports"]
        assert f"127.0.0.1:{used}/tcp is in use" in refused[0].reason
        assert not careful.check(replace(asked, inputs=inputs(used))).failures, "it is its own"
        assert not DockerProvider().check(asked).failures, "a preview asks nobody"
    assert not careful.check(asked).failures
