"""What a node comes back with: always a list that it was given, and the last one unless the disk lost its end."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from berth.access import merkle
from berth.access.current import CurrentList, Update
from berth.access.model import Entry
from berth.access.policy import Pending
from berth.access.receipt import Receipt
from berth.vpn import store as module
from berth.vpn.errors import StoreDamaged
from berth.vpn.files import LineFile, read_lines
from berth.vpn.store import Store, Stored
from tests.unit.vpn.fakes import access_list, block, chain_id, key, owner, registry


def entry(token: int, name: str = "", expires: int = 0) -> Entry:
    return Entry(token, owner, key(name or token), f"10.77.0.{token + 1}", expires)


class Volume:
    """A store that is written to as the agent does, and what it should give back."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, Store(folder)
        self.current = CurrentList.of(access_list(0))
        self.store.save(Stored(self.current.access(), "0xgenesis", 0.0))
        self.digests = [self.current.digest]

    def change(self, number: int, token: int, put: bool) -> None:
        update = Update(
            block(number), (entry(token, f"{token}/{number}", number),) if put else (), () if put else (token,)
        )
        self.current.change(update)
        self.store.append(update, self.current.digest, float(number))
        self.digests.append(self.current.digest)

    def undone(self, number: int, token: int) -> None:
        update = Update(block(number), (entry(token, f"undone {number}"),))
        undo = self.current.change(update)
        self.store.append(update, self.current.digest, float(number))
        self.store.undo()
        self.current.change(undo)

    def compact(self) -> None:
        self.store.compact(Stored(self.current.access(), "0xgenesis", 1.0), self.store.sequence)


steps = st.lists(
    st.tuples(st.sampled_from(["put", "drop", "undone", "compact", "receipt"]), st.integers(1, 6)), max_size=25
)


@settings(deadline=None, max_examples=60)
@given(steps, st.integers(0, 400))
def test_it_comes_back_with_the_last_list_and_after_a_loss_of_power_with_one_before(
    found: list[tuple[str, int]], lost: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        volume = Volume(Path(folder))
        for number, (what, token) in enumerate(found, 1):
            if what == "compact":
                volume.compact()
            elif what == "undone":
                volume.undone(number, token)
            elif what == "receipt":
                volume.store.add_receipt(Receipt.of(volume.current.access()))
            else:
                volume.change(number, token, what == "put")
        copy = Path(folder, "copy")
        shutil.copytree(folder, copy, ignore=lambda *_: ["copy"])
        stored = Store(Path(folder)).load()
        assert stored is not None
        assert stored.access.digest == volume.current.digest
        assert [e.expires for e in stored.access.entries] == [e.expires for e in volume.current.access().entries]
        log = copy / "list.log"
        os.truncate(log, max(log.stat().st_size - lost, 0))
        shorter = Store(copy).load()
        assert shorter is not None
        assert shorter.access.digest in volume.digests
        again = Store(copy)
        assert again.load() == shorter


def test_appending_goes_on_after_a_restart(tmp_path: Path) -> None:
    volume = Volume(tmp_path)
    volume.change(1, 1, True)
    volume.store.close()
    with (tmp_path / "list.log").open("ab") as log:
        log.write(b"half a li")
    volume.store = Store(tmp_path)
    volume.store.load()
    volume.change(2, 2, True)
    stored = Store(tmp_path).load()
    assert stored is not None
    assert stored.access.digest == volume.current.digest


def test_a_change_while_the_list_is_written_whole_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = Volume(tmp_path)
    volume.change(1, 1, True)
    snapshot, sequence = Stored(volume.current.access(), "0xgenesis"), volume.store.sequence
    written = module.write_atomic

    def meanwhile(path: Path, text: str, mode: int) -> None:
        written(path, text, mode)
        if path.name == "list.json":
            volume.change(2, 2, True)

    monkeypatch.setattr(module, "write_atomic", meanwhile)
    volume.store.compact(snapshot, sequence)
    monkeypatch.undo()
    copy = shutil.copytree(tmp_path, tmp_path / "copy")
    stored = Store(copy).load()
    assert stored is not None
    assert stored.access.digest == volume.current.digest
    volume.store.undo()
    stored = Store(tmp_path).load()
    assert stored is not None
    assert stored.access.digest == snapshot.access.digest


def test_an_older_whole_list_does_not_replace_a_newer_one(tmp_path: Path) -> None:
    volume = Volume(tmp_path)
    old, sequence = Stored(volume.current.access(), "0xgenesis"), volume.store.sequence
    volume.change(1, 1, True)
    volume.store.save(Stored(volume.current.access(), "0xgenesis"))
    volume.store.compact(old, sequence)
    stored = Store(tmp_path).load()
    assert stored is not None
    assert stored.access.digest == volume.current.digest


def test_a_list_that_the_version_before_wrote_is_taken_over(tmp_path: Path) -> None:
    access = access_list(7, 1, 2)
    old = {
        "version": 1,
        "chainId": chain_id,
        "genesis": "0xgenesis",
        "registry": registry,
        "block": {"number": access.block.number, "hash": access.block.hash},
        "digest": "sha256:" + merkle.root([e.leaf() for e in access.entries]).hex(),
        "entries": {str(e.token): e.as_inputs() for e in access.entries},
    }
    (tmp_path / "list.json").write_text(json.dumps(old))
    stored = Store(tmp_path).load()
    assert stored is not None
    assert stored.access == access
    (tmp_path / "list.json").write_text(json.dumps({**old, "digest": "sha256:00"}))
    with pytest.raises(StoreDamaged):
        Store(tmp_path).load()


def test_lines_that_lead_elsewhere_are_damage(tmp_path: Path) -> None:
    volume = Volume(tmp_path)
    volume.store.append(Update(block(1), (entry(1),)), "sha256:" + "0" * 64, 1.0)
    with pytest.raises(StoreDamaged, match="do not lead to the digest"):
        Store(tmp_path).load()
    assert Store(tmp_path).load() is None


def test_who_waits_is_kept(tmp_path: Path) -> None:
    pending = Pending("7-ab", 1.0, 61.0, {key(1): "10.77.0.2"}, {key(2): 1800000000, key(3): 0})
    Store(tmp_path).save_pending(pending)
    assert Store(tmp_path).load_pending() == pending
    (tmp_path / "breaker.json").write_text("{")
    assert Store(tmp_path).load_pending() is None
    Store(tmp_path).save_pending(None)
    assert not (tmp_path / "breaker.json").exists()


def test_files_are_nobody_elses(tmp_path: Path) -> None:
    volume = Volume(tmp_path)
    volume.change(1, 1, True)
    volume.store.add_receipt(Receipt.of(volume.current.access()))
    volume.store.save_pending(Pending("a", 0, 1, {key(1): "10.77.0.2"}))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize("spoil", [b"00000000 {}\n", b"{}\n", b"\n", b"zzzzzzzz {}\n"])
def test_a_line_that_does_not_prove_itself_ends_the_file(tmp_path: Path, spoil: bytes) -> None:
    file = LineFile(tmp_path / "lines")
    file.add({"n": 1})
    with file.path.open("ab") as raw:
        raw.write(spoil)
    assert LineFile(file.path).records() == [{"n": 1}]
    assert read_lines(file.path)[0] == [{"n": 1}]
    file = LineFile(file.path)
    file.add({"n": 2})
    assert read_lines(file.path)[0] == [{"n": 1}, {"n": 2}]
