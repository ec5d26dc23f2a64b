"""What counts as a change, and of which kind, without a daemon."""

from __future__ import annotations

from typing import Any

import pytest

from engine.docker import DockerProvider
from engine.docker.compare import read_inputs
from engine.docker.container_properties import FIELDS
from engine.model import UNKNOWN
from engine.provider import Call, DiffResult

CONTAINER = "docker:index/container:Container"


def diff(
    olds: dict[str, Any], news: dict[str, Any], token: str = CONTAINER, ignore: list[str] | None = None
) -> DiffResult:
    provider = DockerProvider()
    urn = f"urn:pulumi:dev::berth::{token}::web"
    base = {"image": "i", "name": "n"} if token == CONTAINER else {"name": "n"}
    old = provider.check(Call(urn, news={**base, **olds}))
    new = provider.check(Call(urn, inputs=old.inputs, news={**base, **news}))
    assert (old.failures, new.failures) == ([], [])
    return provider.diff(Call(urn, "id", old.inputs, news=new.inputs, ignore=ignore or []))


@pytest.mark.parametrize(
    ("olds", "news"),
    [
        ({"memory": 0}, {}),
        ({"tty": False}, {}),
        ({"labels": [{"label": "a", "value": "1"}, {"label": "b", "value": "2"}]},
         {"labels": [{"label": "b", "value": "2"}, {"label": "a", "value": "1"}]}),
        ({"envs": ["A=1", "B=2"]}, {"envs": ["B=2", "A=1"]}),
        ({"ports": [{"internal": 1}, {"internal": 2}]}, {"ports": [{"internal": 2}, {"internal": 1}]}),
        ({"ports": [{"internal": 1}]}, {"ports": [{"internal": 1, "ip": "0.0.0.0", "protocol": "tcp"}]}),
        ({"healthcheck": {"interval": "90s"}}, {"healthcheck": {"interval": "1m30s"}}),
        ({"cpus": "1.50"}, {"cpus": "1.5"}),
        ({"capabilities": {"adds": ["net_admin"]}}, {"capabilities": {"adds": ["CAP_NET_ADMIN"]}}),
        ({"devices": [{"hostPath": "/dev/null"}]},
         {"devices": [{"hostPath": "/dev/null", "containerPath": "/dev/null"}]}),
        ({"networksAdvanced": [{"name": "a", "aliases": ["x", "y"]}]},
         {"networksAdvanced": [{"name": "a", "aliases": ["y", "x"]}]}),
        ({"command": ["x"]}, {}),  # the daemon's choice when none is given
        ({"user": "root"}, {}),
        ({"volumes": []}, {}),
    ],
)  # fmt: skip
def test_equal_by_value(olds: dict[str, Any], news: dict[str, Any]) -> None:
    assert diff(olds, news) == DiffResult(False, detailed={})


@pytest.mark.parametrize(
    ("olds", "news", "detailed"),
    [
        ({}, {"restart": "always"}, {"restart": "update"}),
        ({"memory": 64}, {"memory": 128}, {"memory": "update"}),
        ({}, {"memory": 128}, {"memory": "add"}),
        ({"memory": 64}, {}, {"memory": "delete-replace"}),
        ({"cpus": "1"}, {"cpus": "2"}, {"cpus": "update"}),
        ({}, {"wait": True}, {"wait": "add"}),
        ({"mustRun": False}, {}, {"mustRun": "update"}),
        ({"command": ["a", "b"]}, {"command": ["a", "c"]}, {"command[1]": "update-replace"}),
        ({"command": ["b", "a"]}, {"command": ["a", "b"]},
         {"command[0]": "update-replace", "command[1]": "update-replace"}),
        ({"image": "i"}, {"image": "j"}, {"image": "update-replace"}),
        ({"logOpts": {"max-size": "1m", "a": "1"}}, {"logOpts": {"b": "1", "max-size": "2m"}},
         {'logOpts["max-size"]': "update-replace", "logOpts.a": "delete-replace", "logOpts.b": "add-replace"}),
        ({"envs": ["A=1", "B=1"]}, {"envs": ["A=1", "C=1"]}, {"envs[1]": "update-replace"}),
        ({"labels": [{"label": "a", "value": "1"}]},
         {"labels": [{"label": "a", "value": "1"}, {"label": "b", "value": "1"}]}, {"labels[1]": "add-replace"}),
        ({"healthcheck": {"retries": 3}}, {"healthcheck": {"retries": 5}}, {"healthcheck.retries": "update-replace"}),
        ({"networksAdvanced": [{"name": "a"}]}, {"networksAdvanced": [{"name": "b"}]},
         {"networksAdvanced[0]": "update-replace"}),
        ({}, {"image": UNKNOWN}, {"image": "update-replace"}),
        ({"envs": ["A=1"]}, {"envs": [UNKNOWN]}, {"envs[0]": "update-replace"}),
        ({"networksAdvanced": [{"name": "a"}]}, {"networksAdvanced": [{"name": UNKNOWN}]},
         {"networksAdvanced[0]": "update-replace"}),
    ],
)  # fmt: skip
def test_changes(olds: dict[str, Any], news: dict[str, Any], detailed: dict[str, str]) -> None:
    result = diff(olds, news)
    assert result.changes is True
    assert result.detailed == detailed
    replaces = sorted({path.split("[")[0].split(".")[0] for path, kind in detailed.items() if "replace" in kind})
    assert result.replaces == replaces
    assert result.delete_before_replace is bool(replaces)


def test_ignored_changes() -> None:
    assert diff({"image": "i"}, {"image": "j"}, ignore=["image"]).changes is False
    olds, news = {"logOpts": {"a": "1", "b": "1"}}, {"logOpts": {"a": "2", "b": "2"}}
    assert diff(olds, news, ignore=["logOpts.a"]).detailed == {"logOpts.b": "update-replace"}


@pytest.mark.parametrize("token", ["docker:index/network:Network", "docker:index/volume:Volume"])
def test_a_chosen_name_is_freed_first(token: str) -> None:
    labelled = {"labels": [{"label": "a", "value": "1"}]}
    assert diff({}, labelled, token).delete_before_replace is True
    assert diff({"name": "old"}, {"name": "new"}, token).delete_before_replace is False
    provider = DockerProvider()
    urn = f"urn:pulumi:dev::berth::{token}::web"
    old = provider.check(Call(urn)).inputs
    new = provider.check(Call(urn, inputs=old, news=labelled)).inputs
    result = provider.diff(Call(urn, "id", old, news=new))
    assert (result.changes, result.delete_before_replace) == (True, False), "an automatic name makes room for both"


def test_reading_keeps_spelling_and_drops_defaults_that_no_longer_hold() -> None:
    olds = {
        "name": "n", "cpus": "0.50", "mustRun": True, "restart": "no",
        "networksAdvanced": [{"name": "a"}, {"name": "b"}],
        "__defaults": ["mustRun", "restart"],
    }  # fmt: skip
    live = {"cpus": "0.5", "mustRun": False, "restart": "no", "networksAdvanced": [{"name": "b"}], "user": "root"}
    assert read_inputs(FIELDS, olds, live) == {
        "name": "n", "cpus": "0.50", "mustRun": False, "restart": "no", "networksAdvanced": [{"name": "b"}],
        "__defaults": ["restart"],
    }  # fmt: skip
