"""Desired against actual peers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berth.access.diff import Changes, diff

peers = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(["10.77.0.2", "10.77.0.3", "10.77.0.4"]))


@pytest.mark.parametrize(
    ("desired", "actual", "changes"),
    [
        pytest.param({}, {}, Changes(), id="nothing"),
        pytest.param({"a": "2"}, {"a": "2"}, Changes(), id="same"),
        pytest.param({"a": "2"}, {}, Changes(add={"a": "2"}), id="first"),
        pytest.param({}, {"a": "2"}, Changes(remove={"a": "2"}), id="last"),
        pytest.param({"a": "3"}, {"a": "2"}, Changes(move={"a": "3"}), id="another address"),
        pytest.param({"b": "2"}, {"a": "2"}, Changes(add={"b": "2"}, remove={"a": "2"}), id="new key, same address"),
        pytest.param({"a": "3", "b": "2"}, {"a": "2", "b": "3"}, Changes(move={"a": "3", "b": "2"}), id="swap"),
        pytest.param(
            {"a": "2", "b": "3", "d": "5"},
            {"a": "2", "b": "9", "c": "4"},
            Changes(add={"d": "5"}, remove={"c": "4"}, move={"b": "3"}),
            id="all at once",
        ),
    ],
)
def test_table(desired: dict[str, str], actual: dict[str, str], changes: Changes) -> None:
    found = diff(desired, actual)
    assert found == changes
    assert bool(found) == (desired != actual)


@given(peers, peers)
def test_applying_the_changes_gives_what_is_desired(desired: dict[str, str], actual: dict[str, str]) -> None:
    changes = diff(desired, actual)
    applied = {key: address for key, address in actual.items() if key not in changes.remove}
    applied.update(changes.move)
    applied.update(changes.add)
    assert applied == desired
    assert changes.count == len({k for k in desired.keys() | actual.keys() if desired.get(k) != actual.get(k)})


def test_in_words() -> None:
    assert str(diff({"a": "3", "b": "4"}, {"a": "2", "c": "5"})) == "1 added, 1 removed, 1 moved"
