"""Networks, volumes and remote images on the real daemon."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.docker import network as network_module
from engine.docker import volume as volume_module
from engine.provider import ProviderError
from tests.engine.docker.world import BASE, LABELS, NETWORK, REMOTE, VOLUME, Made, World

pytestmark = pytest.mark.docker


def test_network(world: World) -> None:
    news = {
        "name": world.name("net"), "labels": LABELS, "driver": "bridge", "attachable": True, "internal": True,
        "options": {"com.docker.network.bridge.enable_icc": "false"}, "ipamDriver": "default",
        "ipamConfigs": [
            {"subnet": "172.30.97.0/24", "gateway": "172.30.97.1", "ipRange": "172.30.97.128/25",
             "auxAddress": {"host": "172.30.97.2"}},
        ],
    }  # fmt: skip
    made = world.create(NETWORK, news)
    assert made.outputs["scope"] == "local"
    assert made.outputs["ipamConfigs"] == news["ipamConfigs"]
    shown = world.client.find(f"/networks/{made.id}")
    assert shown is not None
    assert (shown["Internal"], shown["Attachable"], shown["Labels"]) == (True, True, {"berth.test": "engine-docker"})
    assert shown["IPAM"]["Config"][0]["AuxiliaryAddresses"] == {"host": "172.30.97.2"}
    before = dict(made.inputs)
    world.refresh(made)
    assert made.inputs == before
    assert world.diff(made, news).changes is False
    changed = world.diff(made, {**news, "ipamConfigs": [{"subnet": "172.30.96.0/24"}]})
    assert (changed.replaces, changed.delete_before_replace) == (["ipamConfigs"], True)
    world.delete(made)
    assert world.read(made).id == ""
    world.delete(made)


def test_network_conflicts_are_explained(world: World) -> None:
    news = {"name": world.name("net"), "labels": LABELS, "ipamConfigs": [{"subnet": "172.30.97.0/24"}]}
    world.create(NETWORK, news)
    with pytest.raises(ProviderError, match=r"exists already.*docker network rm"):
        world.create(NETWORK, news)
    with pytest.raises(ProviderError, match=r"cannot have the subnet 172\.30\.97\.0/24.*choose another"):
        world.create(NETWORK, {**news, "name": world.name("other")})


def test_a_network_in_use_names_who(
    world: World, sleeper: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_module, "detach_seconds", 0.3)
    made = world.create(NETWORK, {"name": world.name("net"), "labels": LABELS})
    sleeper(networksAdvanced=[{"name": made.id}])
    with pytest.raises(ProviderError, match=f"still attached: {world.name('box')}"):
        world.delete(made)


def test_volume(world: World) -> None:
    news = {
        "name": world.name("vol"), "labels": LABELS, "driver": "local",
        "driverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"},
    }  # fmt: skip
    made = world.create(VOLUME, news)
    assert made.id == world.name("vol")
    assert made.outputs["mountpoint"].endswith("/_data")
    before = dict(made.inputs)
    world.refresh(made)
    assert made.inputs == before
    assert world.diff(made, news).changes is False
    assert world.diff(made, {**news, "driverOpts": {"type": "tmpfs"}}).replaces == ["driverOpts"]
    world.delete(made)
    assert world.read(made).id == ""
    world.delete(made)


def test_a_kept_volume_is_taken_back_and_anothers_is_not(world: World) -> None:
    news = {"name": world.name("vol"), "labels": LABELS}
    world.create(VOLUME, news)
    again = world.create(VOLUME, news)
    assert again.id == world.name("vol")
    assert any("its data is kept" in line for line in world.lines)
    with pytest.raises(ProviderError, match=r"is another one \(it differs in labels\)"):
        world.create(VOLUME, {**news, "labels": [{"label": "berth.test", "value": "somebody"}]})


def test_a_volume_made_anew_by_hand_is_drift(world: World) -> None:
    news = {"name": world.name("vol"), "labels": LABELS}
    made = world.create(VOLUME, news)
    world.client.call("DELETE", f"/volumes/{made.id}")
    world.client.call("POST", "/volumes/create", {"Name": made.id})
    world.refresh(made)
    assert world.diff(made, news).replaces == ["labels"]


def test_a_volume_in_use_names_who(world: World, sleeper: Callable[..., Made], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume_module, "release_seconds", 0.3)
    made = world.create(VOLUME, {"name": world.name("vol"), "labels": LABELS})
    sleeper(volumes=[{"volumeName": made.id, "containerPath": "/data"}])
    with pytest.raises(ProviderError, match=f"in use by {world.name('box')}"):
        world.delete(made)


def test_a_local_image_counts(world: World) -> None:
    made = world.create(REMOTE, {"name": BASE, "keepLocally": True})
    assert made.id == made.outputs["imageId"] + BASE
    world.refresh(made)
    assert world.diff(made, {"name": BASE, "keepLocally": True}).changes is False
    assert world.diff(made, {"name": BASE}).detailed == {"keepLocally": "delete"}
    world.delete(made)
    assert world.client.find(f"/images/{BASE}/json") is not None


def test_an_image_is_untagged_on_delete(world: World) -> None:
    tag = f"{world.name('image')}:1"
    world.client.call("POST", f"/images/{BASE}/tag", query={"repo": world.name("image"), "tag": "1"})
    made = world.create(REMOTE, {"name": tag})
    world.delete(made)
    assert world.read(made).id == ""
    assert world.client.find(f"/images/{BASE}/json") is not None


def test_an_unreachable_registry_is_told_soon(world: World) -> None:
    with pytest.raises(ProviderError, match=r"image 127\.0\.0\.1:9/nothing:1 cannot be pulled: .*cannot be reached"):
        world.create(REMOTE, {"name": "127.0.0.1:9/nothing:1"})
