"""The base image, pulled where a registry can be reached, else made from Debian's packages."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bootstrap import apt
from bootstrap.errors import SetupError
from bootstrap.step import Context

IMAGE = "debian:bookworm-slim"
SUITE = "bookworm"
MADE_LABEL = "berth.base"  # on a base image made here, so that `make clean` knows its own
REACH_LIMIT = 5.0  # seconds until a registry that is silent counts as out of reach
WORK = Path("/var/tmp")  # not /tmp: that is often memory, or mounted without devices


class BaseImage:
    """Makes sure that the daemon has the image that ours are built from."""

    name = "base image"

    def __init__(self, apt_folder: Path = Path("/etc/apt")) -> None:
        self._apt_folder = apt_folder

    def satisfied(self, context: Context) -> str | None:
        if context.shell.run("docker", "image", "inspect", "-f", "{{.Id}}", IMAGE, limit=20).ok:
            return f"{IMAGE} is there"
        return None

    def apply(self, context: Context) -> str:
        context.note(f"docker pull {IMAGE}")
        pulled = context.shell.run_once_heard(
            "docker", "pull", IMAGE, first=REACH_LIMIT, limit=900, cue="Pulling from"
        )  # fmt: skip
        if pulled.ok:
            return f"pulled {IMAGE}"
        if context.shell.which("debootstrap") is None:
            try:
                apt.install(context, "debootstrap")
            except SetupError as error:
                raise SetupError(
                    f"{IMAGE} could not be pulled, and without debootstrap it cannot be made here: {error.what}",
                    f"get {IMAGE} into this Docker daemon (docker pull, or docker load), or: {error.todo}",
                    pulled.excerpt,
                ) from error
        return self._make(context)

    def _make(self, context: Context) -> str:
        shell = context.shell
        own = apt.sources(self._apt_folder, SUITE)
        mirror = [uri for uri, suite in own if suite == SUITE][:1]
        with _folder(context) as folder:
            root = folder / "root"
            context.note("no image registry in reach: debootstrap (about half a minute)")
            shell.must(
                f"debootstrap could not make {IMAGE}",
                "check that this machine's apt sources are in reach (apt-get update), then try again",
                *shell.as_root("debootstrap", "--variant=minbase", SUITE, str(root), *mirror),
                limit=900,
            )  # fmt: skip
            self._dress(context, folder, root, own)
            context.note(f"docker import as {IMAGE}")
            archive = folder / "root.tar"
            shell.must(
                "the base image could not be packed",
                f"check the free space in {WORK} (df), then try again",
                *shell.as_root("tar", "-C", str(root), "--numeric-owner", "-cf", str(archive), "."),
                limit=300,
            )  # fmt: skip
            shell.must(
                f"{IMAGE} could not be imported into Docker",
                "check the free space of Docker's data folder (docker system df), then try again",
                "docker", "import", "--change", 'CMD ["bash"]', "--change", f"LABEL {MADE_LABEL}=made",
                str(archive), IMAGE,
                limit=300,
            )  # fmt: skip
        return f"made {IMAGE} with debootstrap (no image registry in reach)"

    def _dress(self, context: Context, folder: Path, root: Path, own: list[tuple[str, str]]) -> None:
        """Give the new root this machine's certificates and updates, and drop what only fills it."""
        shell = context.shell
        if own:
            # In the notation and the place of the official image, so that a Dockerfile meets one form of it.
            lists = folder / "debian.sources"
            lists.write_text("\n".join(_stanza(uri, [s for u, s in own if u == uri]) for uri in dict(own)))
            shell.run(*shell.as_root("mkdir", "-p", str(root / "etc/apt/sources.list.d")))
            shell.run(*shell.as_root("cp", str(lists), str(root / "etc/apt/sources.list.d/debian.sources")))
            shell.run(*shell.as_root("rm", "-f", str(root / "etc/apt/sources.list")))
        bundle = Path("/etc/ssl/certs/ca-certificates.crt")
        if bundle.exists():
            shell.run(*shell.as_root("mkdir", "-p", str(root / "etc/ssl/certs")))
            shell.run(*shell.as_root("cp", "-L", str(bundle), str(root / "etc/ssl/certs/ca-certificates.crt")))
        local = Path("/usr/local/share/ca-certificates")
        if local.is_dir() and any(local.iterdir()):
            # Without these, installing ca-certificates later would drop what this machine adds to Debian's.
            shell.run(*shell.as_root("cp", "-rL", f"{local}/.", str(root / "usr/local/share/ca-certificates/")))
        for waste in ("var/lib/apt/lists", "var/cache/apt", "var/log", "usr/share/doc", "usr/share/man"):
            shell.run(*shell.as_root("find", str(root / waste), "-mindepth", "1", "-delete"))


def _stanza(uri: str, suites: list[str]) -> str:
    return (
        f"Types: deb\nURIs: {uri}\nSuites: {' '.join(suites)}\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )


@contextmanager
def _folder(context: Context) -> Iterator[Path]:
    """A working folder; what an interrupted run left of its own goes first."""
    note = context.home / "base.path"
    if note.exists():
        _remove(context, Path(note.read_text().strip()))
    folder = Path(tempfile.mkdtemp(prefix="berth-base-", dir=WORK))
    folder.chmod(0o755)  # debootstrap's own users read it
    context.home.mkdir(exist_ok=True)
    note.write_text(str(folder))
    try:
        yield folder
    finally:
        _remove(context, folder)
        note.unlink(missing_ok=True)


def _remove(context: Context, folder: Path) -> None:
    if folder.parent != WORK or not folder.name.startswith("berth-base-") or not folder.exists():
        return
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{folder}/")), reverse=True):
        context.shell.run(*context.shell.as_root("umount", "-l", mount))
    # Should a mount have stayed all the same, what is behind it is not ours to remove.
    context.shell.run(*context.shell.as_root("rm", "-rf", "--one-file-system", str(folder)))
