"""The gateway's files, from the list of parts."""

from __future__ import annotations

import json
import re
import struct

import bson
import pytest

from components.haproxy import Part, chain_part, mongodb_part, nodes_part, render


def parts(nodes: int = 1) -> list[Part]:
    return [
        chain_part("http://chain:8545", 31337),
        mongodb_part(["mongo-repl-1"], 27017),
        nodes_part([f"node-{number}" for number in range(1, nodes + 1)], 8080),
    ]


def backend(config: str, name: str) -> list[str]:
    block = config.split(f"\nbackend {name}\n")[1].split("\nbackend ")[0]
    return [line.strip() for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("nodes", [0, 1, 3])
def test_no_mark_is_left_in_any_file(nodes: int) -> None:
    given = parts(nodes) if nodes else parts()[:2]
    for name, content in render(given, "dev").items():
        assert not re.search(r"<<\w+>>", content), name


def test_log_formats_have_no_stray_percent() -> None:
    files = render(parts(), "dev")
    for name in ("status.html", "members.html", "health.json"):
        assert not re.search(r"%(?!\[)", files[name]), name


def test_stack_name_is_escaped() -> None:
    assert "<b>" not in render([], "<b>")["status.html"]


@pytest.mark.parametrize("nodes", [1, 2])
def test_health_document_is_json_in_the_services_shape(nodes: int) -> None:
    text = render(parts(nodes), "dev")["health.json"]
    text = re.sub(r'"%\[[^"]*\]"', '"ok"', text)
    text = re.sub(r"%\[nbsrv\(\w+\)\] of", "1 of", text)
    document = json.loads(re.sub(r"%\[[^\]]*\]", "true", text))
    assert set(document) == {"status", "live", "ready", "checks"}
    assert document["checks"]["chain"] == {"ok": True, "required": True, "detail": "1 of 1 up"}
    assert document["checks"]["nodes"]["required"] is True
    assert document["checks"]["node-1"]["required"] is False
    assert len(document["checks"]) == 3 + nodes


def test_each_node_has_a_row_of_its_own() -> None:
    page = render(parts(2), "dev")["status.html"]
    assert re.findall(r'data-part="([\w-]+)"', page) == ["chain", "mongodb", "node-1", "node-2"]


def test_status_fails_only_when_all_servers_of_a_needed_part_are_down() -> None:
    config = render(parts(2), "dev")["haproxy.cfg"]
    assert "acl up_nodes nbsrv(nodes) ge 1" in config
    assert "acl all_nodes nbsrv(nodes) ge 2" in config
    assert "set-var(txn.status) str(failing) unless up_chain up_mongodb up_nodes" in config
    assert "set-var(txn.status) str(degraded) unless up_chain up_mongodb all_nodes" in config


def test_mongodb_is_asked_with_a_valid_wire_message() -> None:
    lines = backend(render(parts(), "dev")["haproxy.cfg"], "mongodb")
    sent = bytes.fromhex(next(line.split()[-1] for line in lines if "send-binary" in line))
    length, _, _, operation = struct.unpack("<iiii", sent[:16])
    assert (length, operation) == (len(sent), 2013)
    assert sent[16:21] == b"\x00\x00\x00\x00\x00"
    assert bson.decode(sent[21:]) == {"hello": 1, "$db": "admin"}
    expected = bytes.fromhex(next(line.split()[-1] for line in lines if "expect binary" in line))
    assert expected in bson.encode({"isWritablePrimary": True})
    assert expected not in bson.encode({"isWritablePrimary": False})


@pytest.mark.parametrize(
    ("url", "server", "path", "host"),
    [
        ("http://chain:8545", "chain:8545", "/", "chain:8545"),
        ("https://rpc.example.org", "rpc.example.org:443", "/", "rpc.example.org"),
        ("https://rpc.example.org/v1?a=b", "rpc.example.org:443", "/v1?a=b", "rpc.example.org"),
        ("https://user:secret@rpc.example.org:8443/", "rpc.example.org:8443", "/", "rpc.example.org:8443"),
    ],
)
def test_chain_is_asked_where_the_url_says(url: str, server: str, path: str, host: str) -> None:
    part = chain_part(url, 1)
    assert part.servers[0].address == server
    assert ("ssl verify required" in part.servers[0].options) == url.startswith("https")
    assert f"uri {path} ver HTTP/1.1 hdr Host {host} " in part.check[1]
    assert "secret" not in " ".join(part.check)


def test_only_the_expected_chain_is_healthy() -> None:
    pattern = chain_part("http://chain:8545", 31337).check[2].partition("rstring '")[2].rstrip("'")
    assert re.search(pattern, '{"jsonrpc":"2.0","id":1,"result":"0x7a69"}')
    assert re.search(pattern, '{"id":1, "result": "0x7a69"}')
    assert not re.search(pattern, '{"jsonrpc":"2.0","id":1,"result":"0x7a6"}')
    assert not re.search(pattern, '{"jsonrpc":"2.0","id":1,"result":"0x7a691"}')


def test_members_page_is_on_no_published_port() -> None:
    config = render(parts(), "dev")["haproxy.cfg"]
    public = config.split("frontend public")[1].split("frontend ")[0]
    assert "members.html" not in public
    assert "bind :8081" not in public
