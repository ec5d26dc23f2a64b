"""The gateway's files, from the list of parts."""

from __future__ import annotations

import json
import re
import struct

import bson
import pytest

from components import haproxy
from components.haproxy import Front
from components.parts import Part, access_part, chain_part, gateways_part, mongodb_part, nodes_part, web_part

local = Front("http://localhost/")
secure = Front("https://vpn.example.org/", tls=True)


def parts(nodes: int = 1) -> list[Part]:
    return [
        chain_part("http://chain:8545", 31337),
        mongodb_part(["mongo-repl-1"], 27017),
        *([nodes_part([f"node-{number}" for number in range(1, nodes + 1)], 8080)] if nodes else []),
        access_part(8080),
        web_part(8080),
    ]


def render(given: list[Part], stack: str, front: Front = local) -> dict[str, str]:
    return haproxy.render(given, stack, front)


def frontend(config: str, name: str) -> list[str]:
    block = re.split(r"\n(?:frontend|backend) ", config.split(f"\nfrontend {name}\n")[1])[0]
    return [line.strip() for line in block.splitlines() if line.strip()]


def backend(config: str, name: str) -> list[str]:
    block = config.split(f"\nbackend {name}\n")[1].split("\nbackend ")[0]
    return [line.strip() for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("nodes", [0, 1, 3])
def test_no_mark_is_left_in_any_file(nodes: int) -> None:
    for front in (local, secure):
        for name, content in render(parts(nodes), "dev", front).items():
            assert not re.search(r"<<\w+>>", content), name


def test_a_node_s_gateway_is_asked_of_its_node_and_is_no_reason_to_fail() -> None:
    files = render([*parts(2), gateways_part(["node-1", "node-2"], 8080)], "dev")
    lines = backend(files["haproxy.cfg"], "gateways")
    assert "http-check send meth GET uri /health/gateway ver HTTP/1.1 hdr Host node" in lines
    assert [line for line in lines if line.startswith("server ")] == [
        "server node-1-gateway node-1:8080",
        "server node-2-gateway node-2:8080",
    ]
    assert "Node gateway node-2-gateway" in files["status.html"]
    assert (
        '"node-2-gateway":{"ok":%[srv_is_up(gateways/node-2-gateway),iif(true,false)],"required":false'
        in (files["health.json"])
    )
    states = "\n".join(frontend(files["haproxy.cfg"], "public"))
    assert re.search(r"str\(degraded\) unless .*all_gateways", states)
    assert not re.search(r"str\(failing\) unless .*gateways", states)


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
    assert document["checks"]["chain"] == {
        "ok": True,
        "required": True,
        "detail": "1 of 1 up",
        "title": "Chain",
        "about": "Holds the passes: chain 31337.",
    }
    assert document["checks"]["access"]["required"] is False
    assert document["checks"]["nodes"]["required"] is True
    assert document["checks"]["node-1"]["required"] is False
    assert len(document["checks"]) == 5 + nodes


def test_each_node_has_a_row_of_its_own() -> None:
    page = render(parts(2), "dev")["status.html"]
    assert re.findall(r'data-part="([\w-]+)"', page) == ["chain", "mongodb", "node-1", "node-2", "access", "web"]


def test_status_fails_only_when_all_servers_of_a_needed_part_are_down() -> None:
    config = render(parts(2), "dev")["haproxy.cfg"]
    assert "acl up_nodes nbsrv(nodes) ge 1" in config
    assert "acl all_nodes nbsrv(nodes) ge 2" in config
    assert "set-var(txn.status) str(failing) unless up_chain up_mongodb up_nodes" in config
    assert "set-var(txn.status) str(degraded) unless up_chain up_mongodb all_nodes up_access up_web" in config


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


def test_without_tls_nothing_is_redirected_and_with_it_everything_but_health() -> None:
    plain, tls = (frontend(render(parts(), "dev", front)["haproxy.cfg"], "public") for front in (local, secure))
    assert not [line for line in plain if "redirect" in line or "8443" in line or "Strict-Transport" in line]
    assert "bind :8443 ssl crt /run/berth/tls.pem alpn h2,http/1.1" in tls
    assert "http-request redirect prefix https://vpn.example.org code 308 unless { ssl_fc } or { path /health }" in tls
    assert 'http-after-response set-header Strict-Transport-Security "max-age=31536000"' in tls


def test_a_proxy_before_the_gateway_is_believed_to_end_tls() -> None:
    lines = frontend(render(parts(), "dev", Front("https://vpn.example.org/"))["haproxy.cfg"], "public")
    assert "http-request set-header X-Forwarded-Proto https" in lines
    assert not [line for line in lines if "redirect" in line]


def test_what_callers_say_of_themselves_goes_before_the_gateway_says_it() -> None:
    lines = frontend(render(parts(), "dev")["haproxy.cfg"], "public")
    for header in ("X-Berth- -m beg", "X-Forwarded- -m beg", "Forwarded"):
        gone = lines.index(f"http-request del-header {header}")
        assert gone < lines.index("http-request set-header X-Forwarded-For %[src]")


def test_only_a_proxy_on_this_host_may_say_for_whom_it_asks() -> None:
    front = Front("https://vpn.example.org/", proxy="172.30.10.1")
    lines = frontend(render(parts(), "dev", front)["haproxy.cfg"], "public")
    believed = lines.index("http-request set-src req.hdr(X-Forwarded-For,-1) if { src 172.30.10.1 }")
    assert believed < lines.index("http-request del-header X-Forwarded- -m beg")
    assert "set-src" not in render(parts(), "dev")["haproxy.cfg"]


def test_each_path_leads_to_its_part() -> None:
    config = render(parts(2), "dev")["haproxy.cfg"]
    routes = [line for line in frontend(config, "public") if line.startswith(("use_backend", "default_backend"))]
    assert routes == [
        "use_backend ping-node-1 if { path /nodes/node-1/ping }",
        "use_backend ping-node-2 if { path /nodes/node-2/ping }",
        "use_backend access if { path_beg /api/access/ }",
        "default_backend web",
    ]
    # Nothing of a node but its ping: the path is set, whatever was asked for.
    assert "http-request set-uri /ping" in backend(config, "ping-node-2")
    assert "server node-2 node-2:8080 no-check track nodes/node-2" in backend(config, "ping-node-2")


def test_calls_of_the_api_are_counted_and_bounded() -> None:
    front = Front("http://localhost/", api_per_minute=77, connections=9)
    lines = frontend(render(parts(), "dev", front)["haproxy.cfg"], "public")
    counted = lines.index("http-request track-sc0 src table callers if counted")
    assert "acl counted path_beg /api/ /ws/" in lines[:counted]
    often, many = (index for index, line in enumerate(lines) if "status 429" in line)
    assert counted < often < many
    assert "if counted { sc_http_req_rate(0) gt 77 }" in lines[often]
    assert "if counted { sc_conn_cur(0) gt 9 }" in lines[many]
    for bounded in (often, many):
        assert json.loads(lines[bounded].split("string '")[1].split("'")[0])["status"] == 429


@pytest.mark.parametrize(("proxy", "but"), [("", ""), ("172.30.10.1", " !{ src 172.30.10.1 }")])
def test_connections_of_one_source_are_bounded_before_anything_is_read(proxy: str, but: str) -> None:
    lines = frontend(
        render(parts(), "dev", Front("http://localhost/", connections=9, proxy=proxy))["haproxy.cfg"], "public"
    )
    counted = lines.index("tcp-request connection track-sc1 src,ipmask(32,64) table sources")
    assert lines[counted + 1] == "tcp-request connection reject if { sc_conn_cur(1) gt 9 }" + but
    assert counted < min(index for index, line in enumerate(lines) if line.startswith("http-request"))


def test_the_page_may_ask_the_nodes_where_they_are() -> None:
    probes = ("http://localhost/nodes/node-1/ping", "https://node-2.example.org:8443/ping")
    policy = Front("http://localhost/", probe_urls=probes).headers()["Content-Security-Policy"]
    assert "connect-src 'self' https://node-2.example.org:8443;" in policy
    assert "unsafe" not in policy


def test_a_body_has_to_come_whole_in_time() -> None:
    """Else whoever sends one byte now and then keeps a connection, of which there is a bounded number."""
    lines = frontend(render(parts(), "dev")["haproxy.cfg"], "public")
    assert "option http-buffer-request" in lines
    (large,) = (line for line in lines if "status 413" in line)
    assert large.endswith("if api { req.hdr_val(content-length) gt 12288 }")
    assert json.loads(large.split("string '")[1].split("'")[0])["status"] == 413
