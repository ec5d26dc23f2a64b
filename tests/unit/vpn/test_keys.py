"""Where the node's key comes from, and who may read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from berth.vpn.errors import StoreDamaged
from berth.vpn.keys import ensure_keys, is_key
from tests.unit.vpn.fakes import key


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_keys_are_made_once_and_kept(tmp_path: Path) -> None:
    public = ensure_keys(tmp_path)
    private = (tmp_path / "private.key").read_text()
    assert is_key(public)
    assert is_key(private.strip())
    assert private.strip() != public
    assert (mode(tmp_path / "private.key"), mode(tmp_path / "public.key")) == (0o600, 0o644)
    assert ensure_keys(tmp_path) == public
    assert (tmp_path / "private.key").read_text() == private


def test_the_public_key_is_the_private_ones(tmp_path: Path) -> None:
    # Alice's pair of RFC 7748, section 6.1.
    (tmp_path / "private.key").write_text("dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\n")
    assert ensure_keys(tmp_path) == "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="
    assert (tmp_path / "public.key").read_text() == "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n"


def test_a_private_key_open_to_others_is_closed_and_a_wrong_public_key_corrected(tmp_path: Path) -> None:
    public = ensure_keys(tmp_path)
    (tmp_path / "private.key").chmod(0o644)
    (tmp_path / "public.key").write_text(key("other"))
    assert ensure_keys(tmp_path) == public
    assert mode(tmp_path / "private.key") == 0o600
    assert (tmp_path / "public.key").read_text().strip() == public


def test_a_damaged_private_key_is_never_replaced_by_itself(tmp_path: Path) -> None:
    (tmp_path / "private.key").write_text("oops")
    with pytest.raises(StoreDamaged, match=r"holds no WireGuard key") as refused:
        ensure_keys(tmp_path)
    assert "oops" not in str(refused.value)
    assert (tmp_path / "private.key").read_text() == "oops"


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (key(1), True),
        ("", False),
        ("a" * 43 + "=", False),
        (key(1)[:-1], False),
        (key(1) + "\n", False),
        ("é" * 44, False),
    ],
)
def test_what_a_key_is(text: str, good: bool) -> None:
    assert is_key(text) is good
