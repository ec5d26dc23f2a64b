"""``berth access``: what the nodes applied, a mass removal that waits, and receipts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Any

import typer

from berth.access.current import meet
from berth.access.model import AccessList, Block, Entry
from berth.access.read import read_access_list
from berth.access.receipt import Receipt
from berth.chain.endpoint import Endpoint
from berth.chain.errors import BlockGone
from berth.chain.hashing import normalize_address
from berth.cli import control, stack
from berth.cli.terminal import (
    CommandError,
    ending,
    misused,
    no_answer,
    note,
    out,
    refused,
    show_json,
    show_table,
    until,
)

app = typer.Typer(
    help="The access list on the nodes: status, approvals, receipts.", no_args_is_help=True, rich_markup_mode=None
)
StackOption = Annotated[
    str, typer.Option("--stack", "-s", envvar="STACK", help="Stack of this checkout whose nodes are meant.")
]
UrlOption = Annotated[
    list[str] | None,
    typer.Option(
        "--node-url",
        metavar="ID=URL",
        help="A node's control API in place of the stack's nodes; may be repeated. The token comes from "
        f"{control.token_variable}_FILE or {control.token_variable}.",
    ),
]
NodesArgument = Annotated[list[str] | None, typer.Argument(metavar="[NODE]...", help="Only these nodes.")]
RpcOption = Annotated[str, typer.Option(help="Chain to ask, in place of the stack's.")]
SubnetOption = Annotated[str, typer.Option(help="Tunnel subnet, in place of the stack's.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object in place of a table.")]


@app.command()
@ending
def status(
    nodes: NodesArgument = None,
    stack_name: StackOption = "dev",
    node_url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Which list each node has applied, how old it is, and whether something waits for approval.

    Ends with 1 where a node is not as it should be, with 3 where one does not answer.
    """
    found = control.nodes(stack_name, node_url or [], nodes or [])
    answers = control.each(found, "/control/status")
    missing = [node for node, one in zip(found, answers, strict=True) if isinstance(one, CommandError)]
    told = {node.name: one for node, one in zip(found, answers, strict=True) if not isinstance(one, CommandError)}
    if as_json:
        show_json({"nodes": told, "unreachable": [node.name for node in missing]})
    else:
        show_table(
            ["node", "mode", "block", "digest", "age", "peers", "state"],
            [_row(name, one) for name, one in told.items()],
            "no node answered",
        )
    for answer in answers:
        if isinstance(answer, CommandError):
            note(f"berth: {answer}")
    waiting = [name for name, one in told.items() if _waits(one)]
    for name in waiting:
        breaker = told[name]["breaker"]
        note(
            f"berth: node {name} holds back the removal of {breaker.get('held')} peers until it is approved "
            f"(`berth access approve {name}`), or takes place {until(breaker.get('deadline'))}"
        )
    if missing:
        raise typer.Exit(no_answer)
    if any(_trouble(one) for one in told.values()):
        raise typer.Exit(refused)


@app.command()
@ending
def approve(
    nodes: NodesArgument = None,
    stack_name: StackOption = "dev",
    node_url: UrlOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Let a mass removal that a node holds back take place.

    Each node that waits is asked about by name, with how many peers would go. Look at the chain first: a mass
    removal is held back because a registry that was taken over, or an endpoint that lies, looks the same.
    """
    found = control.nodes(stack_name, node_url or [], nodes or [])
    waiting = []
    for node in found:
        told = node.ask("GET", "/control/status")
        if _waits(told):
            waiting.append((node, told["breaker"]))
    done = []
    for node, breaker in waiting:
        question = f"Node {node.name}: let the removal of {breaker.get('held')} peers take place?"
        if not yes and not typer.confirm(question, err=True):
            note(f"berth: node {node.name} goes on waiting, {until(breaker.get('deadline'))} it takes place by itself")
            continue
        node.ask("POST", "/control/approve", {"id": breaker["id"]})
        done.append(node.name)
    if as_json:
        show_json({"approved": done, "waiting": [node.name for node, _ in waiting if node.name not in done]})
    else:
        out().print(
            f"approved on {', '.join(done)}" if done else "nothing was approved" if waiting else "nothing waits"
        )
    if len(done) < len(waiting):
        raise typer.Exit(refused)


@app.command("list")
@ending
def show_list(
    stack_name: StackOption = "dev",
    rpc_url: RpcOption = "",
    registry: Annotated[str, typer.Option(help="KeyRegistry, in place of the stack's.")] = "",
    subnet: SubnetOption = "",
    chain_id: Annotated[int, typer.Option(help="Id of the chain, in place of the stack's.", show_default=False)] = 0,
    block: Annotated[int | None, typer.Option(min=0, help="Number of the block; the newest where not given.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Who may be a peer, as the chain says at one block. With --json, a list that `verify --list` takes."""
    told = {} if rpc_url and registry and subnet and chain_id else stack.outputs(stack_name)
    endpoint = _endpoint(
        rpc_url or stack.output(told, "rpcUrl", stack_name), chain_id or stack.output(told, "chainId", stack_name)
    )
    where = _address(registry) if registry else stack.output(told, "keyRegistry", stack_name)
    network = _network(subnet or stack.output(told, "tunnelSubnet", stack_name))
    endpoint.check_chain()
    access = read_access_list(
        endpoint,
        where,
        network,
        None if block is None else endpoint.block(block),
    )
    if as_json:
        show_json(_list_form(access))
        return
    rows = [(entry.token, entry.owner, entry.address, entry.key) for entry in access.entries]
    show_table(["pass", "holder", "address", "key"], rows, "no pass counts")
    note(f"block {access.block.number}, digest {access.digest}")


@app.command()
@ending
def verify(
    nodes: NodesArgument = None,
    stack_name: StackOption = "dev",
    node_url: UrlOption = None,
    receipts: Annotated[
        Path | None, typer.Option("--receipts", help="Receipts from this JSON file; no node is asked.")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option("--list", help="A list, as `berth access list --json` gives it; no chain is asked."),
    ] = None,
    rpc_url: RpcOption = "",
    subnet: SubnetOption = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many receipts of each node, the newest.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Check receipts of what nodes applied against the chain, or offline against a list.

    Of each receipt the list is computed again, at its block, and must have its digest. Ends with 1 where one does not.
    """
    given = (
        _receipts_of_file(receipts) if receipts else _receipts_of_nodes(stack_name, node_url or [], nodes or [], limit)
    )
    lists = _Lists(against, rpc_url, subnet, stack_name)
    checked = [{"node": node, **_check(receipt, lists)} for node, receipt in given]
    if as_json:
        show_json({"receipts": checked})
    else:
        show_table(
            ["node", "block", "digest", "result"],
            [(one["node"], one["block"], one["digest"][7:23], one["result"]) for one in checked],
            "there are no receipts",
        )
    if any(one["result"].startswith("false") for one in checked):
        raise typer.Exit(refused)


def _row(name: str, told: Mapping[str, Any]) -> list[object]:
    applied = told.get("applied") or {}
    age = told.get("age")
    shown = f"{age:.0f} s" if isinstance(age, int | float) else None
    block, digest = (applied.get("block") or {}).get("number"), str(applied.get("digest") or "")[7:23]
    return [name, told.get("mode"), block, digest, shown, told.get("peers"), _trouble(told) or "well"]


def _trouble(told: Mapping[str, Any]) -> str:
    """What is not as it should be; empty where all is."""
    if _waits(told):
        return f"waits for approval: {told['breaker'].get('held')} held"
    if told.get("closed"):
        return "closed: the list is too old to be believed"
    if told.get("fault"):
        return f"fault: {told['fault']}"
    failing = told.get("failing")
    return "; ".join(f"{name}: {detail}" for name, detail in failing.items()) if isinstance(failing, Mapping) else ""


def _waits(told: Mapping[str, Any]) -> bool:
    breaker = told.get("breaker")
    return isinstance(breaker, Mapping) and breaker.get("state") == "waiting"


def _receipts_of_nodes(name: str, urls: Sequence[str], wanted: Sequence[str], limit: int) -> list[tuple[str, Receipt]]:
    found = []
    for node in control.nodes(name, urls, wanted):
        told = node.ask("GET", f"/control/receipts?limit={limit}").get("receipts", [])
        found += [(node.name, _receipt(raw)) for raw in told[:limit]]
    return found


def _receipts_of_file(path: Path) -> list[tuple[str, Receipt]]:
    raw = _json_of(path)
    listed = raw.get("receipts", [raw]) if isinstance(raw, dict) else raw
    return [("", _receipt(one)) for one in listed]


def _receipt(raw: Any) -> Receipt:
    try:
        return Receipt.from_dict(raw)
    except (ValueError, TypeError, AttributeError) as error:
        raise CommandError(str(error)) from None


class _Lists:
    """The list of a block: from a file, or from the chain; each is read once."""

    def __init__(self, file: Path | None, rpc_url: str, subnet: str, name: str) -> None:
        self._file = _list_of(file) if file else None
        self._rpc_url, self._subnet, self._stack = rpc_url, subnet, name
        self._known: dict[tuple[str, str, str], AccessList] = {}

    def of(self, receipt: Receipt) -> AccessList:
        if self._file is not None:
            return self._file
        key = (receipt.block.hash, receipt.removals.hash if receipt.removals else "", receipt.registry)
        if key not in self._known:
            url, subnet = self._where()
            endpoint = _endpoint(url, receipt.chain_id)
            endpoint.check_chain()
            self._known[key] = _list_at(endpoint, receipt, subnet)
        return self._known[key]

    def _where(self) -> tuple[str, IPv4Network]:
        if not (self._rpc_url and self._subnet):
            told = stack.outputs(self._stack)
            self._rpc_url = self._rpc_url or stack.output(told, "rpcUrl", self._stack)
            self._subnet = self._subnet or stack.output(told, "tunnelSubnet", self._stack)
        return self._rpc_url, _network(self._subnet)


def _list_at(endpoint: Endpoint, receipt: Receipt, subnet: IPv4Network) -> AccessList:
    """The list that the receipt names: of its block, or what that and the block of its removals both have."""
    access = read_access_list(endpoint, receipt.registry, subnet, receipt.block)
    if receipt.removals is None:
        return access
    later = read_access_list(endpoint, receipt.registry, subnet, receipt.removals).by_token
    both = (meet(entry, later.get(entry.token)) for entry in access.entries)
    return replace(access, entries=tuple(entry for entry in both if entry), removals=receipt.removals)


def _check(receipt: Receipt, lists: _Lists) -> dict[str, Any]:
    shown = {"block": receipt.block.number, "digest": receipt.digest}
    try:
        access = lists.of(receipt)
    except BlockGone:
        return {**shown, "result": "unknown: the chain has no state of that block any more", "problems": []}
    problems = receipt.problems(access)
    # Peers may be fewer than the list (terms that ended since) or more (held back): the list is what is proved.
    peers = [one for one in problems if one.startswith("peers")]
    false = [one for one in problems if one not in peers]
    if false:
        return {**shown, "result": f"false: {'; '.join(false)}", "problems": problems}
    result = "true" if not peers else "true, with other peers than the list (terms over, or removals held back)"
    return {**shown, "result": result, "problems": problems}


def _endpoint(url: str, chain_id: int) -> Endpoint:
    if not url.startswith(("http://", "https://")):
        raise CommandError(f"--rpc-url: {url!r} is not a URL: https://host[:port] is", misused)
    return Endpoint(url, chain_id)


def _address(text: str) -> str:
    try:
        return normalize_address(text)
    except ValueError as error:
        raise CommandError(f"--registry: {error}", misused) from None


def _network(text: str) -> IPv4Network:
    try:
        return IPv4Network(text)
    except ValueError as error:
        raise CommandError(f"--subnet: {error}", misused) from None


def _list_form(access: AccessList) -> dict[str, Any]:
    """A list as a file; a node's list.json has these members as well."""
    return {
        "chainId": access.chain_id,
        "registry": access.registry,
        "block": {"number": access.block.number, "hash": access.block.hash},
        "digest": access.digest,
        "entries": {str(entry.token): entry.as_inputs() for entry in access.entries},
    }


def _list_of(path: Path) -> AccessList:
    raw = _json_of(path)
    try:
        entries = [Entry.from_inputs(token, one) for token, one in raw["entries"].items()]
        entries.sort(key=lambda entry: entry.token)
        block = Block(int(raw["block"]["number"]), str(raw["block"]["hash"]))
        later = raw.get("removalBlock")
        removals = Block(int(later["number"]), str(later["hash"])) if later else None
        return AccessList(int(raw["chainId"]), str(raw["registry"]), block, tuple(entries), removals=removals)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CommandError(f"{path} is not a list as `berth access list --json` gives it: {error!r}", misused) from None


def _json_of(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}", misused) from None
    except ValueError as error:
        raise CommandError(f"{path} is not JSON: {error}", misused) from None
