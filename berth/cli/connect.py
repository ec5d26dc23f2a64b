"""``berth connect``: from a wallet with a pass to a WireGuard configuration."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from berth.access.client import probe
from berth.access.client.device import Profile, peers_in, private_in, private_text, write_private
from berth.access.client.errors import NothingToUse, Untrusted
from berth.access.client.service import AccessService, Registered
from berth.access.client.tunnel.bridges import local_port, mtu
from berth.access.client.wallet import Wallet
from berth.access.possession import public_of
from berth.cli import account, stack
from berth.cli.terminal import CommandError, ago, ending, note, out, show_json, show_table, until, working
from berth.kit.client import ApiRefused, ClientError, WrongUsage

_active_within: Final = 20.0  # seconds until a node that follows the chain has the device


@ending
def connect(
    url: stack.Url = "",
    stack_name: stack.StackName = "dev",
    key_file: account.KeyFile = None,
    token: Annotated[
        str, typer.Option("--pass", metavar="TOKEN", help="Which pass, where the wallet has several.")
    ] = "",
    node: Annotated[str, typer.Option("--node", metavar="ID", help="Which node; else the nearest that is well.")] = "",
    file: Annotated[
        Path, typer.Option("--out", "-o", help="Where the wg-quick file goes; its name names the interface.")
    ] = Path("berth.conf"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Make a new key for a pass that has one: the old device is out then.")
    ] = False,
    move: Annotated[
        bool,
        typer.Option(
            "--move",
            help="Keep the key in --out and rewrite the file for another node: --node, else the nearest, and another "
            "than now unless the way there changes (--udp-blocked); nothing is registered or sent.",
        ),
    ] = False,
    udp_blocked: Annotated[
        bool,
        typer.Option(
            "--udp-blocked", help="For a network that blocks UDP: a configuration for `berth tunnel`, a TCP bridge."
        ),
    ] = False,
    tunnel_port: Annotated[
        int, typer.Option("--tunnel-port", min=1, max=65535, help="UDP port of `berth tunnel` on this machine.")
    ] = local_port,
    qr: Annotated[bool, typer.Option("--qr", help="Show the configuration as a QR code, for a phone.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until a node has the device.")] = True,
    list_devices: Annotated[
        bool, typer.Option("--list", help="Show passes, devices and nodes; change nothing.")
    ] = False,
    revoke: Annotated[
        str, typer.Option("--revoke", metavar="TOKEN", help="End the device of this pass; change nothing else.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object in place of text.")] = False,
) -> None:
    """Make this machine a device of a pass: get a WireGuard configuration for it, without paying gas.

    Signs in with the wallet, makes a WireGuard key pair here (the private half stays in the file), proves that it has
    it, signs the registration, which the stack's relay sends, picks the nearest node that is well, and writes a
    wg-quick file that only you can read. Then: wg-quick up ./berth.conf
    """
    if sum((move, list_devices, bool(revoke))) > 1:
        raise CommandError("--move, --list and --revoke are three different things: name one", 2)
    if qr and udp_blocked:
        raise CommandError("--qr is for phones, which cannot run `berth tunnel`: leave one of the two out", 2)
    if not (force or move or list_devices or revoke) and file.exists():
        raise CommandError(f"{file} is there already: name another with --out, or replace it with --force")
    wallet = account.wallet(key_file)
    with AccessService(url or str(stack.output(stack.outputs(stack_name), "url", stack_name))) as service:
        choices = _Choices(replace, move, qr, wait, as_json, force or move, tunnel_port if udp_blocked else None)
        with working(f"signing in as {wallet.address}"):
            service.sign_in(wallet)
        try:
            if list_devices:
                _show(service, wallet, as_json)
            elif revoke:
                _revoke(service, wallet, _token(revoke), as_json)
            else:
                _connect(service, wallet, token, node, file, choices)
        finally:
            service.sign_out()


@dataclass(frozen=True)
class _Choices:
    """What the options say of how to go about it; ``port``: of ``berth tunnel``, None where UDP is not blocked."""

    replace: bool
    move: bool
    qr: bool
    wait: bool
    as_json: bool
    overwrite: bool
    port: int | None


def _connect(service: AccessService, wallet: Wallet, token: str, node: str, file: Path, choices: _Choices) -> None:
    # First what can fail without having changed anything.
    with working("measuring the nodes"):
        nodes = service.nodes()
        left = _node_in(file, bridged=choices.port is not None) if choices.move and not node else ""
        best = _choose_node(probe.measure(service.url, nodes), node, bridged=choices.port is not None, left=left)
    addresses: tuple[str, str | None]
    if choices.move:
        private = private_in(file)
        key = public_of(private)
        mine = next((one for one in service.devices() if one["key"] == key and one["status"] != "replaced"), None)
        if mine is None:
            raise CommandError(f"the key in {file} is not a device of {wallet.address}: connect anew, without --move")
        number, addresses, transaction = int(mine["token"]), (mine["address"], mine["address6"]), None
    else:
        number = _choose_pass(service.passes(), _token(token) if token else None, choices.replace)
        made, private = _register(service, wallet, number, file)
        key, addresses, transaction = made.key, (made.address, made.address6), made.transaction
    profile = Profile.of(service.config, private, addresses, best.node)
    if choices.port is not None:
        profile = _bridged(profile, choices.port, nodes)
    write_private(file, profile.text(), replace=choices.overwrite)
    _pending(file).unlink(missing_ok=True)
    active = _wait(service, key) if choices.wait and not choices.move else None
    shown = {
        "token": str(number),
        "key": key,
        "address": addresses[0],
        "address6": addresses[1],
        "node": best.node["id"],
        "endpoint": profile.endpoint,
        "mtu": profile.mtu,
        "milliseconds": None if best.seconds is None else round(best.seconds * 1000, 1),
        "file": str(file),
        "transaction": transaction,
        "active": active,
    }
    if choices.as_json:
        show_json(shown)
    else:
        _tell(shown, file, service.url if choices.port is not None else None)
    if choices.qr:
        _qr(profile.text(), choices.as_json)


def _register(service: AccessService, wallet: Wallet, token: int, file: Path) -> tuple[Registered, X25519PrivateKey]:
    """Makes a key pair and registers it.  The private half is on disk before, so that no failure can lose it."""
    private = X25519PrivateKey.generate()
    write_private(_pending(file), f"PrivateKey = {private_text(private)}\n", replace=True)
    with working(f"registering a key for pass {token}"):
        try:
            return service.register(wallet, token, private), private
        except (ClientError, KeyboardInterrupt) as failure:
            # Unless it is certain that nothing was sent, it may be mined yet.
            if isinstance(failure, ApiRefused | Untrusted) and getattr(failure, "reason", "") != "not-mined":
                _pending(file).unlink(missing_ok=True)
            else:
                note(
                    f"berth: the key may be registered all the same: it is kept in {_pending(file)}; if --list shows "
                    f"it, `berth connect --move --out {_pending(file)}` makes a configuration of it"
                )
            raise


def _pending(file: Path) -> Path:
    return file.with_name(f".{file.name}.pending")


def _node_in(file: Path, bridged: bool) -> str:
    """The key of the node that a configuration leads to; "" where it leads to none yet, or there in the other way."""
    try:
        first = peers_in(file)[0]
    except WrongUsage:
        private_in(file)  # a key that was kept when nobody knew whether it was registered
        return ""
    return first.key if first.bridged == bridged else ""


def _choose_node(measured: Sequence[probe.Measured], wanted: str, bridged: bool, left: str = "") -> probe.Measured:
    """The nearest that is well, or the one that is wanted; with ``bridged`` one that has a bridge.

    ``left``: the key of the node to move away from.
    """
    here = next((str(one.node["id"]) for one in measured if left and one.node["publicKey"] == left), "")
    measured = [one for one in measured if str(one.node["id"]) != here]
    if here and not probe.ranked(measured):
        raise NothingToUse(f"the file leads to node {here} already, and no other is well: --node {here} stays there")
    able = [one for one in measured if one.node.get("bridges") or not bridged]
    if bridged and not able:
        raise NothingToUse("no node has a TCP bridge that is well: ask the operator, or connect without --udp-blocked")
    if wanted and wanted in {one.node["id"] for one in measured} - {one.node["id"] for one in able}:
        raise NothingToUse(f"{wanted} has no TCP bridge that is well; {_ids(able)} has one")
    return probe.choose(able, wanted)


def _ids(measured: Sequence[probe.Measured]) -> str:
    return " or ".join(str(one.node["id"]) for one in measured)


def _bridged(profile: Profile, port: int, nodes: Sequence[Mapping[str, Any]]) -> Profile:
    """The same through `berth tunnel` on this machine, with the other nodes as peers to move to."""
    endpoints = [endpoint for node in nodes for endpoint in node.get("bridges") or []]
    others = [str(node["publicKey"]) for node in nodes if node["publicKey"] != profile.node_key]
    return profile.through(port, mtu(profile.mtu, endpoints), others)


def _tell(shown: Mapping[str, Any], file: Path, url: str | None) -> None:
    """``url``: the stack's, where the way leads through a bridge."""
    distance = "" if shown["milliseconds"] is None else f", {shown['milliseconds']} ms away"
    out().print(f"pass {shown['token']} is {shown['address']} on node {shown['node']}{distance}")
    if shown["active"] is False:
        note("berth: no node has this device yet; nodes that do not follow the chain take it with the next `make up`")
    # wg-quick takes a path for one only with a slash in it.
    up = f"wg-quick up {file if '/' in str(file) else f'./{file}'}"
    if url is None:
        out().print(f"wrote {file}; next: {up}")
        return
    out().print(f"wrote {file}; next, in two terminals:")
    out().print(f"  sudo {_command()} tunnel --url {url} --config {file}")
    out().print(f"  sudo {up}")


def _command() -> str:
    """As it was called: root has another PATH."""
    beside = Path(sys.executable).with_name("berth")
    return str(beside) if beside.exists() else "berth"


def _wait(service: AccessService, key: str) -> bool:
    """Whether a node has the device, in time."""
    deadline = time.monotonic() + _active_within
    with working("waiting until a node has the device"):
        while time.monotonic() < deadline:
            if any(one["key"] == key and one["status"] == "active" for one in service.devices()):
                return True
            time.sleep(1)
    return False


def _revoke(service: AccessService, wallet: Wallet, token: int, as_json: bool) -> None:
    with working(f"revoking the device of pass {token}"):
        transaction = service.revoke(wallet, token)
    if as_json:
        show_json({"token": str(token), "transaction": transaction})
    else:
        out().print(f"the device of pass {token} is revoked ({transaction})")


def _show(service: AccessService, wallet: Wallet, as_json: bool) -> None:
    with working("looking"):
        passes, devices = service.passes(), service.devices()
        measured = probe.measure(service.url, service.nodes())
    if as_json:
        nodes = [{**one.node, "milliseconds": _milliseconds(one)} for one in measured]
        show_json({"address": wallet.address, "passes": passes, "devices": devices, "nodes": nodes})
        return
    show_table(
        ["pass", "role", "expires", "device"],
        [(one["token"], one["role"], until(one["expires"]), one["key"] or "none") for one in passes],
        f"{wallet.address} has no pass",
    )
    columns = ("token", "address", "status", "node", "received", "sent")
    show_table(
        ["device of pass", "address", "status", "node", "received", "sent", "handshake"],
        [(*(one[name] for name in columns), ago(one["lastHandshake"])) for one in devices],
        "no devices",
    )
    fields = ("id", "region", "endpoint", "connected")
    show_table(
        ["node", "region", "endpoint", "clients", "state", "ms"],
        [(*(one.node[name] for name in fields), _state(one.node), _milliseconds(one)) for one in measured],
        "no nodes",
    )


def _milliseconds(one: probe.Measured) -> float | None:
    return None if one.seconds is None else round(one.seconds * 1000, 1)


def _state(node: Mapping[str, Any]) -> str:
    return {True: "well", False: "not well", None: "not watched"}[node.get("healthy")]


def _choose_pass(passes: Sequence[Mapping[str, Any]], wanted: int | None, replace: bool) -> int:
    usable = [one for one in passes if one["usable"]]
    if wanted is not None:
        found = next((one for one in usable if int(one["token"]) == wanted), None)
        if found is None:
            raise NothingToUse(f"this wallet may not register pass {wanted}; it may: {_named(usable)}")
    elif len(fresh := [one for one in usable if not one["registered"]]) == 1:
        found = fresh[0]
    elif len(usable) == 1:
        found = usable[0]
    elif not usable:
        raise NothingToUse("this wallet holds no pass: get one, or use another wallet")
    else:
        raise NothingToUse(f"this wallet has several passes ({_named(usable)}): name one with --pass")
    if found["registered"] and not replace:
        raise NothingToUse(
            f"pass {found['token']} has a device already (key {found['key']}): --replace makes a new one, which puts "
            "the old one out; --move takes the key that is in the file to another node"
        )
    return int(found["token"])


def _named(passes: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(str(one["token"]) for one in passes) or "none"


def _token(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise CommandError(f"{text!r} is not a pass: a token id is a whole number", 2)
    return int(text)


def _qr(text: str, as_json: bool) -> None:
    import segno

    # With --json standard output holds the object alone.
    segno.make(text, error="l").terminal(out=sys.stderr if as_json else sys.stdout, compact=True)
