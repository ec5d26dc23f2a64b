"""What becomes of a program's inputs, without a daemon."""

from __future__ import annotations

import re
from typing import Any

import pytest

from engine.docker import DockerProvider
from engine.model import UNKNOWN
from engine.provider import Call

CONTAINER = "docker:index/container:Container"


def check(token: str, news: dict[str, Any], olds: dict[str, Any] | None = None) -> tuple[dict[str, Any], list[str]]:
    call = Call(f"urn:pulumi:dev::berth::{token}::web", inputs=olds or {}, news=news)
    result = DockerProvider().check(call)
    return result.inputs, [failure.reason for failure in result.failures]


def test_defaults_are_those_of_the_bridge() -> None:
    inputs, failures = check(CONTAINER, {"image": "i", "name": "n", "ports": [{"internal": 80.0}], "healthcheck": {}})
    assert failures == []
    assert inputs["__defaults"] == [
        "containerReadRefreshTimeoutMilliseconds", "mustRun", "networkMode", "removeVolumes", "restart", "start",
        "waitTimeout",
    ]  # fmt: skip
    assert inputs["ports"] == [
        {"internal": 80, "ip": "0.0.0.0", "protocol": "tcp", "__defaults": ["ip", "protocol"]},
    ]
    assert inputs["healthcheck"] == {
        "interval": "0s", "timeout": "0s", "startPeriod": "0s", "startInterval": "0s",
        "__defaults": ["interval", "startInterval", "startPeriod", "timeout"],
    }  # fmt: skip
    assert isinstance(inputs["ports"][0]["internal"], int)


def test_a_name_is_made_once() -> None:
    first, _ = check(CONTAINER, {"image": "i"})
    assert re.fullmatch(r"web-[0-9a-f]{7}", first["name"])
    assert "name" in first["__defaults"]
    second, _ = check(CONTAINER, {"image": "i"}, first)
    assert second["name"] == first["name"]
    given, _ = check(CONTAINER, {"image": "i", "name": "mine"})
    again, _ = check(CONTAINER, {"image": "i"}, given)
    assert again["name"] != "mine", "a name that was chosen is not a default"


def test_a_name_is_kept_from_a_state_without_a_list_of_defaults() -> None:
    inputs, _ = check("docker:index/volume:Volume", {}, {"name": "web-1234567"})
    assert inputs["name"] == "web-1234567"


@pytest.mark.parametrize(
    ("news", "told"),
    [
        ({"image": "i", "gpus": "all"}, "'gpus' is not supported"),
        ({"image": "i", "ports": [{"internal": 1, "speed": 2}]}, "'ports[0].speed' is not supported"),
        ({"image": "i", "exitCode": 0}, "'exitCode' is not supported"),
        ({"image": "i", "memory": "much"}, "'memory' must be an integer, not a string"),
        ({"image": "i", "memory": 1.5}, "'memory' must be an integer, not a number"),
        ({"image": "i", "memory": True}, "'memory' must be an integer, not a boolean"),
        ({"image": "i", "init": "maybe"}, "'init' must be a boolean, not a string"),
        ({"image": "i", "command": "sleep"}, "'command' must be a list, not a string"),
        ({"image": "i", "healthcheck": ["x"]}, "'healthcheck' must be an object, not a list"),
        ({"image": "i", "healthcheck": {"interval": "often"}}, "'healthcheck.interval' must be a duration"),
        ({"image": "i", "restart": "sometimes"}, "'restart' must be no, on-failure, always or unless-stopped"),
        ({"image": "i", "cpus": "two"}, "'cpus' must be a number of CPUs"),
        ({"image": "i", "memorySwap": -2}, "'memorySwap' must be at least -1"),
        ({"image": "i", "uploads": [{"file": "/x"}]}, "exactly one of content, contentBase64 and source for /x"),
        ({"image": "i", "uploads": [{"file": "/x", "content": "a", "source": "b"}]}, "exactly one of"),
        ({"image": "i", "uploads": [{"file": "/x", "contentBase64": "?"}]}, "not base64"),
        ({"image": "i", "uploads": [{"file": "/x", "content": "a", "permissions": "600"}]}, "four octal digits"),
        ({"image": "i", "volumes": [{"volumeName": "v"}]}, "either 'containerPath' or 'fromContainer'"),
        ({"image": "i", "rm": True, "attach": True}, "'rm' cannot go with 'attach'"),
        ({}, "'image' is required"),
        ({"image": "i", "labels": [{"label": "a"}]}, "'labels[0].value' is required"),
    ],
)
def test_bad_inputs_are_named(news: dict[str, Any], told: str) -> None:
    _, failures = check(CONTAINER, news)
    assert any(told in reason for reason in failures), failures


def test_a_secret_content_is_not_in_a_failure() -> None:
    _, failures = check(CONTAINER, {"image": "i", "uploads": [{"file": "/k", "content": "hush", "source": "s"}]})
    assert failures
    assert not any("hush" in reason for reason in failures)


def test_text_and_numbers_are_brought_to_their_type() -> None:
    inputs, failures = check(
        CONTAINER, {"image": "i", "memory": "64", "cpus": 1.5, "init": "true", "sysctls": {"a": 1}}
    )
    assert failures == []
    assert (inputs["memory"], inputs["cpus"], inputs["init"], inputs["sysctls"]) == (64, "1.5", True, {"a": "1"})


def test_unknown_values_pass() -> None:
    news = {"image": UNKNOWN, "ports": [{"internal": UNKNOWN}], "uploads": [{"file": "/x", "content": UNKNOWN}]}
    inputs, failures = check(CONTAINER, news)
    assert failures == []
    assert inputs["image"] is UNKNOWN
    assert inputs["uploads"][0]["content"] is UNKNOWN


def test_network_and_volume_defaults() -> None:
    assert check("docker:index/network:Network", {"name": "n"})[0] == {
        "name": "n", "ipamDriver": "default", "__defaults": ["ipamDriver"],
    }  # fmt: skip
    assert check("docker:index/volume:Volume", {"name": "v"})[0] == {"name": "v", "__defaults": []}
    assert check("docker:index/remoteImage:RemoteImage", {"name": "r"})[0] == {"name": "r", "__defaults": []}


def test_unsupported_types_and_settings_are_named() -> None:
    provider = DockerProvider()
    with pytest.raises(Exception, match="docker:index/service:Service"):
        provider.check(Call("urn:pulumi:dev::berth::docker:index/service:Service::s"))
    with pytest.raises(Exception, match="caMaterial"):
        provider.configure({"caMaterial": "x"})
    with pytest.raises(Exception, match="getNetwork"):
        provider.invoke("docker:index/getNetwork:getNetwork", {})
