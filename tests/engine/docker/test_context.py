"""The digest of a build context.  Golden digests come from pulumi-docker's own libraries on the same tree."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from engine.docker.context import context_digest, context_files, go_mode, ignore_patterns

FILES = {
    "app/main.py": "print(1)\n",
    "app/data/a.txt": "a\n",
    "app/data/b.txt": "b\n",
    "app/notes.md": "n\n",
    "app/run.sh": "#!/bin/sh\n",
    "Dockerfile": "FROM scratch\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o755 if name.endswith(".sh") else 0o644)
    (tmp_path / "app/link").symlink_to("data/a.txt")
    return tmp_path


@pytest.mark.parametrize(
    ("ignore", "digest"),
    [
        ("", "d9004a49cc046c0e66257f09d39d329fd2fe02445f4c821259c018cdfc4ae97e"),
        ("*.md\ndata\n", "ded75dc67fdea7aa5d55d4b141f55c51f0facf1e36255589c3ad957e0c925a5a"),
        ("*\n!data\ndata/b.txt\n", "5a4b3d0f6be3d44a91da00a1760bb38c6b03f25e2cc59469023d5595bc5c2949"),
        ("**/*.txt\n!**/a.txt\n# comment\n", "82f2c3bae3d307dc50818a938c382c71344f6889e447e40b245e92c5fed579c5"),
    ],
)
def test_golden_digests(tree: Path, ignore: str, digest: str) -> None:
    (tree / "Dockerfile.dockerignore").write_text(ignore)
    assert context_digest(tree, "app", "Dockerfile") == digest


def test_what_changes_the_digest(tree: Path) -> None:
    (tree / "Dockerfile.dockerignore").write_text("*.md\n")
    before = context_digest(tree, "app", "Dockerfile")
    (tree / "app/notes.md").write_text("ignored\n")
    os.utime(tree / "app/main.py", (1, 1))
    assert context_digest(tree, "app", "Dockerfile") == before
    (tree / "app/main.py").chmod(0o755)
    mode = context_digest(tree, "app", "Dockerfile")
    (tree / "app/main.py").write_text("print(2)\n")
    content = context_digest(tree, "app", "Dockerfile")
    (tree / "app/main.py").rename(tree / "app/other.py")
    name = context_digest(tree, "app", "Dockerfile")
    (tree / "Dockerfile").write_text("FROM other\n")
    assert len({before, mode, content, name, context_digest(tree, "app", "Dockerfile")}) == 5


@pytest.mark.parametrize(
    ("ignore", "sent"),
    [
        ("*", []),
        ("*\n!main.py", ["main.py"]),
        ("*\n!data/a.txt", ["data/a.txt"]),
        ("data/\n!data/b.txt", ["data/b.txt", "link", "main.py", "notes.md", "run.sh"]),
        ("/main.py\n./run.sh\nl?nk\n[n-n]otes.md", ["data/a.txt", "data/b.txt"]),
        ("**/?.txt", ["link", "main.py", "notes.md", "run.sh"]),
        ("data/**\n!**/b.txt", ["data/b.txt", "link", "main.py", "notes.md", "run.sh"]),
        ("*\n!*.py\nmain.py", []),
        ("# *\n\n  *  \n! run.sh", ["run.sh"]),
    ],
)
def test_ignore_patterns(tree: Path, ignore: str, sent: list[str]) -> None:
    (tree / "app/.dockerignore").write_text(ignore)
    context = tree / "app"
    found = list(context_files(context, ignore_patterns(context, tree / "Dockerfile")))
    assert [path for path in found if path != ".dockerignore"] == sent


def test_the_dockerfiles_own_ignore_file_goes_first(tree: Path) -> None:
    (tree / "app/.dockerignore").write_text("*")
    (tree / "Dockerfile.dockerignore").write_text("*\n!main.py")
    assert list(context_files(tree / "app", ignore_patterns(tree / "app", tree / "Dockerfile"))) == ["main.py"]


def test_ignored_directories_are_not_entered(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("node_modules/x", ".venv/lib"):
        (tree / "app" / name).mkdir(parents=True)
    entered: list[str] = []
    scandir = os.scandir

    def spy(path: str | os.PathLike[str]) -> object:
        entered.append(Path(path).name)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", spy)
    (tree / "Dockerfile.dockerignore").write_text("*\n!data/a.txt")
    list(context_files(tree / "app", ignore_patterns(tree / "app", tree / "Dockerfile")))
    assert entered == ["app", "data"]


def test_links(tree: Path) -> None:
    (tree / "app/broken").symlink_to("nowhere")
    broken = context_digest(tree, "app", "Dockerfile")
    (tree / "app/broken").unlink()
    (tree / "app/broken").symlink_to("elsewhere")
    assert context_digest(tree, "app", "Dockerfile") != broken
    (tree / "app/data/a.txt").write_text("same link, other target\n")
    (tree / "Dockerfile.dockerignore").write_text("data\nbroken")
    before = context_digest(tree, "app", "Dockerfile")
    (tree / "app/data/a.txt").write_text("the target's content is not the link's\n")
    assert context_digest(tree, "app", "Dockerfile") == before


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        (stat.S_IFREG | 0o644, "-rw-r--r--"),
        (stat.S_IFREG | 0o4755, "urwxr-xr-x"),
        (stat.S_IFREG | 0o2640, "grw-r-----"),
        (stat.S_IFLNK | 0o777, "Lrwxrwxrwx"),
        (stat.S_IFIFO | 0o600, "prw-------"),
        (stat.S_IFCHR | 0o666, "Dcrw-rw-rw-"),
        (stat.S_IFREG | 0o1777, "trwxrwxrwx"),
    ],
)
def test_modes_as_go_writes_them(mode: int, text: str) -> None:
    assert go_mode(mode) == text
