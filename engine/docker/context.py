"""The digest of a build context, the same as pulumi-docker's, so that state is understood by either engine.

Algorithm (``provider/hybrid.go`` of pulumi-docker): over the Dockerfile (under the name ``Dockerfile`` and
an empty mode) and then every file of the context that is not ignored, in the order of a directory walk
by name: path, Go's text form of the mode, SHA-256 of the content (of the target's path for a symbolic
link), a zero byte; the digest is the SHA-256 of all that.
Ignore patterns: https://docs.docker.com/build/concepts/context/#dockerignore-files.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pattern:
    """One line of an ignore file: ``text`` without the ``!``."""

    text: str
    negated: bool
    regex: re.Pattern[str]

    @classmethod
    def parse(cls, line: str) -> Pattern | None:
        """The pattern of a line; None for comments and empty lines."""
        text = line.strip()
        if not text or line.startswith("#"):
            return None
        negated = text.startswith("!")
        text = posixpath.normpath(text[1:].strip() if negated else text)
        if len(text) > 1:
            text = text.lstrip("/")
        return cls(text, negated, re.compile(_to_regex(text), re.DOTALL))

    def may_match_below(self, directory: str) -> bool:
        """Whether something inside the directory could match: compares the parts before any wildcard."""
        for mine, theirs in zip(self.text.split("/"), directory.split("/"), strict=False):
            if any(sign in mine for sign in "*?[\\"):
                return True
            if mine != theirs:
                return False
        return True


def _to_regex(text: str) -> str:
    out, i = "", 0
    while i < len(text):
        sign = text[i]
        if text.startswith("**", i):
            i += 2
            if text.startswith("/", i):
                i += 1
            out += ".*" if i >= len(text) else "(.*/)?"
            continue
        if sign == "*":
            out += "[^/]*"
        elif sign == "?":
            out += "[^/]"
        elif sign == "[" and "]" in text[i + 1 :]:
            end = text.index("]", i + 1)
            out += text[i : end + 1]
            i = end
        elif sign == "\\" and i + 1 < len(text):
            i += 1
            out += re.escape(text[i])
        else:
            out += re.escape(sign)
        i += 1
    return out


def ignore_patterns(context: Path, dockerfile: Path) -> list[Pattern]:
    """The patterns of ``<Dockerfile>.dockerignore``, else of ``.dockerignore`` in the context."""
    for path in (dockerfile.with_name(dockerfile.name + ".dockerignore"), context / ".dockerignore"):
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except FileNotFoundError:
            continue
        return [pattern for line in lines if (pattern := Pattern.parse(line))]
    return []


def context_files(context: Path, patterns: list[Pattern]) -> Iterator[str]:
    """Paths (relative, with ``/``) of everything but directories that is sent to a build, in walking order.

    A directory that is ignored is only entered when a ``!`` pattern could match inside, so that a
    repository with its environments and node modules costs next to nothing.
    """
    negations = [pattern for pattern in patterns if pattern.negated]

    def walk(directory: str, matched: frozenset[int]) -> Iterator[str]:
        with os.scandir(context / directory if directory else context) as entries:
            found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
        for name, is_directory in found:
            path = f"{directory}/{name}" if directory else name
            ignored, mine = _evaluate(patterns, path, matched)
            if not is_directory:
                if not ignored:
                    yield path
            elif not ignored or any(negation.may_match_below(path) for negation in negations):
                yield from walk(path, mine)

    yield from walk("", frozenset())


def _evaluate(patterns: list[Pattern], path: str, above: frozenset[int]) -> tuple[bool, frozenset[int]]:
    """Whether the path is ignored, and which patterns hold for what is below it.

    A pattern that held for the parent holds here too.  As in Docker's own matcher, one that could not
    change the answer so far is not tried, and therefore does not hold below either.
    """
    ignored, holding = False, set()
    for i, pattern in enumerate(patterns):
        if i in above or (pattern.negated == ignored and pattern.regex.fullmatch(path)):
            holding.add(i)
            ignored = not pattern.negated
    return ignored, frozenset(holding)


def context_digest(root: Path, context: str, dockerfile: str) -> str:
    """Hex digest of a context; both paths are relative to ``root`` or absolute.  Raises OSError."""
    digest = hashlib.sha256()
    base = root / context
    _add(digest, "Dockerfile", "----------", (root / dockerfile).read_bytes())
    for path in context_files(base, ignore_patterns(base, root / dockerfile)):
        mode = (base / path).lstat().st_mode
        if stat.S_ISLNK(mode):
            content = _link_target(root, posixpath.normpath(posixpath.join(context, path))).encode()
        else:
            content = (base / path).read_bytes() if stat.S_ISREG(mode) else b""
        _add(digest, path, go_mode(mode), content)
    return digest.hexdigest()


def _add(digest: hashlib._Hash, name: str, mode: str, content: bytes) -> None:
    digest.update(name.encode() + mode.encode() + hashlib.sha256(content).digest() + b"\0")


def _link_target(root: Path, path: str) -> str:
    """Where a link ends, relative when the way there is (Go's ``filepath.EvalSymlinks``)."""
    parts, done, hops = path.split("/"), "", 0
    if path.startswith("/"):
        parts, done = parts[1:], "/"
    while parts:
        part = parts.pop(0)
        step = posixpath.normpath(posixpath.join(done, part))
        if not (root / step).is_symlink() or hops > 255:
            done = step
            continue
        hops += 1
        target = os.readlink(root / step)
        if target.startswith("/"):
            done, target = "/", target[1:]
        parts = [*target.split("/"), *parts]
    return posixpath.normpath(done)


def go_mode(mode: int) -> str:
    """A file's mode as Go's ``fs.FileMode.String`` writes it."""
    signs = ""
    for test, sign in ((stat.S_ISLNK, "L"), (stat.S_ISBLK, "D"), (stat.S_ISCHR, "D"), (stat.S_ISFIFO, "p")):
        signs += sign if test(mode) else ""
    for bit, sign in ((stat.S_ISUID, "u"), (stat.S_ISGID, "g")):
        signs += sign if mode & bit else ""
    signs += "c" if stat.S_ISCHR(mode) else ""
    signs += "t" if mode & stat.S_ISVTX else ""
    permissions = "".join(sign if mode & (1 << (8 - i)) else "-" for i, sign in enumerate("rwxrwxrwx"))
    return (signs or "-") + permissions
