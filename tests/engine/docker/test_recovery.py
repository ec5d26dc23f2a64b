"""What an interrupted creation made is taken over, finished or cleared away; anybody else's object is left alone."""

from __future__ import annotations

from typing import Any

import pytest

from engine.docker import DockerProvider
from engine.model import PropertyMap
from engine.provider import Call, PartialFailure, ProviderError
from tests.engine.docker.world import CONTAINER, LABELS, NETWORK, VOLUME, Made, World, sleeping, urn

pytestmark = pytest.mark.docker


def labels(token: str) -> list[dict[str, str]]:
    return [*LABELS, {"label": "mine", "value": urn(token)}]


@pytest.fixture
def later(world: World) -> DockerProvider:
    """The provider of the next engine, which remembers nothing."""
    return DockerProvider()


def recover(world: World, later: DockerProvider, token: str, inputs: PropertyMap, *known: str) -> Any:
    return later.recover(Call(urn(token), news=inputs, log=world.log), set(known))


def test_a_started_container_is_taken_over_to_be_finished(world: World, later: DockerProvider) -> None:
    made = world.create(CONTAINER, sleeping(world.name("box"), labels=labels(CONTAINER)))
    with pytest.raises(PartialFailure) as partial:
        recover(world, later, CONTAINER, made.inputs)
    assert partial.value.id == made.id
    assert partial.value.outputs == made.outputs
    assert later.diff(Call(urn(CONTAINER), made.id, partial.value.inputs or {}, news=made.inputs)).changes is False


def test_a_container_that_the_state_has_is_another_one(world: World, later: DockerProvider) -> None:
    made = world.create(CONTAINER, sleeping(world.name("box"), labels=labels(CONTAINER), start=False))
    assert recover(world, later, CONTAINER, made.inputs, made.id) is None
    assert world.inspect(made)


def test_a_half_made_container_is_removed(world: World, later: DockerProvider) -> None:
    inputs = world.check(CONTAINER, sleeping(world.name("box"), labels=labels(CONTAINER)))
    never_started = world.create(CONTAINER, sleeping(world.name("box"), labels=labels(CONTAINER), start=False))
    assert recover(world, later, CONTAINER, inputs) is None
    assert world.inspect(never_started) is None


def test_a_container_that_is_to_be_otherwise_is_removed(world: World, later: DockerProvider) -> None:
    made = world.create(CONTAINER, sleeping(world.name("box"), labels=labels(CONTAINER)))
    asked = {**made.inputs, "networksAdvanced": [{"name": "another"}]}
    assert recover(world, later, CONTAINER, asked) is None
    assert world.inspect(made) is None


@pytest.mark.parametrize("token", [CONTAINER, NETWORK, VOLUME])
def test_what_is_not_marked_is_left_alone(world: World, later: DockerProvider, token: str) -> None:
    news = {"name": world.name("it"), "labels": LABELS}
    made = world.create(token, sleeping(world.name("it"), start=False) if token == CONTAINER else news)
    assert recover(world, later, token, made.inputs) is None
    assert world.read(made).id == made.id
    if token != VOLUME:
        with pytest.raises(ProviderError, match="exists already"):
            later.create(Call(urn(token), news=made.inputs))


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("token", [NETWORK, VOLUME])
def test_networks_and_volumes_are_taken_over(world: World, later: DockerProvider, token: str, named: bool) -> None:
    """By the mark, or by a name that only the check can have made up."""
    news: PropertyMap = {"name": world.name("it"), "labels": labels(token)} if named else {"labels": LABELS}
    made = world.create(token, news)
    found = recover(world, later, token, made.inputs)
    assert (found.id, found.outputs) == (made.id, made.outputs)


def test_a_network_with_a_subnet_is_the_one_that_was_asked_for(world: World, later: DockerProvider) -> None:
    configs = [{"subnet": "10.199.7.0/24", "gateway": "10.199.7.1"}]
    made = world.create(NETWORK, {"name": world.name("it"), "labels": labels(NETWORK), "ipamConfigs": configs})
    assert recover(world, later, NETWORK, made.inputs).id == made.id
    other = {**made.inputs, "ipamConfigs": [{"subnet": "10.199.8.0/24"}]}
    assert recover(world, later, NETWORK, other) is None
    assert world.read(made).id == ""


def test_nothing_was_made(world: World, later: DockerProvider) -> None:
    inputs = world.check(CONTAINER, sleeping(world.name("box")))
    assert recover(world, later, CONTAINER, inputs) is None


def test_what_the_daemon_ended_only_later_gives_way(world: World, later: DockerProvider) -> None:
    news = sleeping(world.name("box"), labels=labels(CONTAINER))
    inputs = world.check(CONTAINER, news)
    assert recover(world, later, CONTAINER, inputs) is None
    late = world.create(CONTAINER, {**news, "start": False})
    result = later.create(Call(urn(CONTAINER), news=inputs))
    assert world.inspect(late) is None
    world.made.append(Made(CONTAINER, result.id, inputs, {}))
    assert world.inspect(world.made[-1])["State"]["Running"]
