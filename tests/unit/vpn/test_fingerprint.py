"""The fingerprint of a set of peers: the same however it came about, another for every difference."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berth.vpn.fingerprint import Fingerprint, line, parse, show
from tests.unit.vpn.fakes import key

peers = st.dictionaries(st.integers(0, 40), st.sampled_from([f"10.77.0.{n}/32" for n in range(20)]))


def of(found: dict[int, str]) -> Fingerprint:
    made = Fingerprint()
    for name, allowed in found.items():
        made.put(key(name), (allowed,))
    return made


@given(peers, peers)
def test_it_depends_on_the_set_and_not_on_the_way_there(first: dict[int, str], second: dict[int, str]) -> None:
    walked = of(first)
    before = walked.parts()
    for name in first:
        walked.remove(key(name))
    for name, allowed in second.items():
        walked.put(key(name), (allowed,))
    assert walked.parts() == of(second).parts()
    assert (walked.parts() == before) == (first == second)
    assert len(walked) == len(second)


def test_it_is_what_another_program_would_compute() -> None:
    """In the words of images/wireguard/go/device/berth.go, from the definition."""
    chosen = {key(n): f"10.77.0.{n}/32" for n in range(1, 200)}
    lines = sorted(line(name, (allowed,)) for name, allowed in chosen.items())
    parts = tuple(
        sha256("".join(text for text in lines if text.startswith(f"{first:02x}")).encode()).hexdigest()
        for first in range(256)
    )
    assert of({n: f"10.77.0.{n}/32" for n in range(1, 200)}).parts() == parts == parse(show(parts))


@pytest.mark.parametrize("text", ["", "0" * 64 + "\n", ("0" * 64 + "\n") * 257, ("0" * 63 + "\n") * 256])
def test_what_is_no_fingerprint_is_not_taken_for_one(text: str) -> None:
    with pytest.raises(ValueError, match="256 lines"):
        parse(text)


@pytest.mark.parametrize(
    ("allowed", "preshared"),
    [((), False), (("10.77.0.3/32",), False), (("10.77.0.2/32", "fd77::2/128"), False), (("10.77.0.2/32",), True)],
)
def test_whatever_differs_of_a_peer_shows(allowed: tuple[str, ...], preshared: bool) -> None:
    one, other = Fingerprint(), Fingerprint()
    one.put(key("a"), ("10.77.0.2/32",))
    other.put(key("a"), allowed, preshared)
    assert one.parts() != other.parts()


def test_the_order_of_allowed_ips_does_not_matter() -> None:
    one, other = Fingerprint(), Fingerprint()
    one.put(key("a"), ("10.77.0.2/32", "fd77::2/128"))
    other.put(key("a"), ("fd77::2/128", "10.77.0.2/32"))
    assert one.parts() == other.parts()
