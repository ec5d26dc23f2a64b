"""``docker:index/container:Container``."""

from __future__ import annotations

import time
from pathlib import Path

from engine.docker import container_values as values
from engine.docker.bridged import Bridged, NameTaken, NotAsAsked
from engine.docker.client import Client, DaemonError, Json
from engine.docker.compare import normal_property
from engine.docker.container_properties import FIELDS
from engine.docker.container_run import (
    RunFailed,
    check_running,
    inspect,
    is_running,
    start,
    upload_files,
    valid_upload,
    wait_exit,
    wait_healthy,
)
from engine.docker.places import place, take
from engine.docker.ports import taken
from engine.docker.remote_image import ensure_image
from engine.docker.schema import labels_to_map
from engine.model import UNKNOWN, PropertyMap, contains_unknown
from engine.provider import CheckFailure, CheckResult, Log, ProviderError

removal_seconds = 15.0

_ROWS = {row.name: row for row in FIELDS}
_UPDATED = ("memory", "memoryReservation", "memorySwap", "cpus", "cpuShares", "cpuPeriod", "cpuQuota", "cpuSet")


class Container(Bridged):
    token = "docker:index/container:Container"
    fields = FIELDS
    meta = (
        '{"e2bfb730-ecaa-11e6-8f88-34363bc7c4c0":'
        '{"create":1200000000000,"delete":1200000000000,"update":1200000000000},"schema_version":"2"}'
    )
    always_delete_first = True
    # All else is fixed for as long as the id stands, so that a difference could only be one of spelling.
    drifting = frozenset({"name", "mustRun", "networksAdvanced", "restart", "maxRetryCount", *_UPDATED})

    def __init__(self, client: Client, root: Path, preflight: bool) -> None:
        super().__init__(client)
        self.root, self.preflight = root, preflight

    def check(self, name: str, olds: PropertyMap, news: PropertyMap) -> CheckResult:
        result = super().check(name, olds, news)
        if result.failures:
            return result
        inputs, failures = result.inputs, result.failures
        for upload in [] if inputs.get("uploads") is UNKNOWN else inputs.get("uploads", []):
            reason = None if contains_unknown(upload) else valid_upload(upload)
            if reason:
                failures.append(CheckFailure("uploads", f"'uploads' {reason}"))
        if inputs.get("rm") is True and any(inputs.get(other) is True for other in ("attach", "wait")):
            failures.append(
                CheckFailure("rm", "'rm' cannot go with 'attach' or 'wait': the result would vanish with the container")
            )
        if self.preflight and "name" in inputs:
            for port in taken(self.client, olds, inputs):
                reason = (
                    f"port {port} is in use by something else on this host. "
                    "What to do: stop that (ss -tulpn shows it), or choose another port"
                )
                failures.append(CheckFailure("ports", reason))
        return result

    def make(self, inputs: PropertyMap, seconds: float, log: Log) -> str:
        name = inputs["name"]
        platform = inputs.get("platform", "")
        ensure_image(self.client, inputs["image"], platform, seconds, log)
        query = {"name": name, **({"platform": platform} if platform else {})}
        try:
            id = str(self.client.call("POST", "/containers/create", _body(inputs), query=query)["Id"])
        except DaemonError as error:
            if error.status == 409 and "already in use" in error.message:
                raise NameTaken(
                    f"a container named {name} exists already and is not in this stack's state. "
                    f"What to do: remove it (docker rm -f {name}) or give this one another name."
                ) from error
            raise ProviderError(f"container {name} cannot be created: {error.message}") from error
        try:
            self._join_networks(id, inputs)
            if inputs.get("uploads"):
                upload_files(self.client, id, inputs["uploads"], self.root)
            if inputs["start"]:
                start(self.client, id, name)
        except ProviderError as problem:
            # One that never ran is of no use to anybody, and its name would stand in the way of the next try.
            self._discard(id, problem)
            raise
        if inputs["start"]:
            self._settle(id, inputs, seconds, log)
        return id

    def live(self, id: str, inputs: PropertyMap) -> PropertyMap | None:
        shown = self.client.find(f"/containers/{id}/json")
        return None if shown is None else _live(shown, inputs, self._saved_logs(shown, inputs))

    def change(self, id: str, olds: PropertyMap, news: PropertyMap, seconds: float, log: Log) -> None:
        name = news["name"]
        body = _update_body(olds, news)
        if body:
            try:
                self.client.call("POST", f"/containers/{id}/update", body)
            except DaemonError as error:
                raise ProviderError(f"container {name} cannot be changed: {error.message}") from error
        if not news["start"]:
            return
        state = inspect(self.client, id, name)["State"]
        wanted = state["ExitCode"] != 0 if news.get("attach") else news["mustRun"]
        if not state["Running"] and wanted:
            try:
                start(self.client, id, name)
            except ProviderError as problem:
                raise NotAsAsked(id, str(problem)) from problem
        elif news.get("attach") and not state["Running"]:
            return
        self._settle(id, news, seconds, log)

    def remove(self, id: str, inputs: PropertyMap, seconds: float, log: Log) -> None:
        name = inputs.get("name", id)
        grace = int(inputs.get("destroyGraceSeconds") or 0)
        try:
            if not inputs.get("attach"):
                log("info", "stopping", True)
                self.client.call("POST", f"/containers/{id}/stop", query={"t": grace}, timeout=grace + 60.0)
            volumes = "true" if inputs.get("removeVolumes", True) else "false"
            self.client.call("DELETE", f"/containers/{id}", query={"v": volumes, "force": "true"})
        except DaemonError as error:
            if error.status != 404 and "already in progress" not in error.message:
                raise ProviderError(f"container {name} cannot be removed: {error.message}") from error
        # One that removes itself may still be at it, and its name is not free before.
        deadline = time.monotonic() + removal_seconds
        while self.client.find(f"/containers/{id}/json") is not None:
            if time.monotonic() > deadline:
                raise ProviderError(f"container {name} is still there {removal_seconds:.0f} s after its removal")
            time.sleep(0.1)

    # --- parts --------------------------------------------------------------------------------------

    def _join_networks(self, id: str, inputs: PropertyMap) -> None:
        networks = inputs.get("networksAdvanced") or []
        if not networks:
            return
        try:
            self.client.call("POST", "/networks/bridge/disconnect", {"Container": id})
        except DaemonError as error:
            if "is not connected" not in error.message:
                raise ProviderError(f"container {inputs['name']} cannot leave the bridge: {error.message}") from error
        for network in networks:
            body = {"Container": id, "EndpointConfig": values.endpoint(network)}
            try:
                self.client.call("POST", f"/networks/{network['name']}/connect", body)
            except DaemonError as error:
                where = f"container {inputs['name']} cannot join network {network['name']}"
                raise ProviderError(f"{where}: {error.message}") from error

    def _settle(self, id: str, inputs: PropertyMap, seconds: float, log: Log) -> None:
        """What was asked for after a start: the end of a job, health, or at least that it runs."""
        try:
            if inputs.get("wait"):
                wait_healthy(self.client, id, inputs, seconds, log)
            if inputs.get("attach"):
                wait_exit(self.client, id, inputs, seconds, log)
            elif inputs["mustRun"] and not inputs.get("rm"):
                check_running(self.client, id, inputs)
        except RunFailed as problem:
            raise NotAsAsked(id, str(problem)) from problem

    def _discard(self, id: str, problem: ProviderError) -> None:
        try:
            self.client.call("DELETE", f"/containers/{id}", query={"v": "true", "force": "true"})
        except DaemonError as error:
            raise NotAsAsked(id, f"{problem} (and it could not be removed again: {error.message})") from problem

    def _saved_logs(self, shown: Json, inputs: PropertyMap) -> str | None:
        if inputs.get("attach") and inputs.get("logs") and not is_running(shown):
            return self.client.logs(shown["Id"])
        return None


def _body(inputs: PropertyMap) -> Json:
    """The body of ``POST /containers/create``."""
    placed = place(FIELDS, inputs)
    host: Json = placed.get("HostConfig", {})
    body: Json = {**placed.get("Config", {}), "Image": inputs["image"], "HostConfig": host}
    host["Init"] = bool(inputs.get("init", False))
    if inputs.get("envs"):
        body["Env"] = list(inputs["envs"])
    if inputs.get("labels"):
        body["Labels"] = labels_to_map(inputs["labels"])
    if inputs.get("ports"):
        body["ExposedPorts"], host["PortBindings"] = values.ports_to(inputs["ports"])
    for path, value in values.volumes_to(inputs.get("volumes") or []).items():
        section, _, key = path.rpartition(".")
        if value:
            (host if section else body)[key] = value
    added = inputs.get("capabilities") or {}
    host["CapAdd"], host["CapDrop"] = added.get("adds") or [], added.get("drops") or []
    options = list(inputs.get("securityOpts") or [])
    if "systempaths=unconfined" in options:
        # The docker client's own option: the daemon is sent what it stands for.
        options.remove("systempaths=unconfined")
        host["MaskedPaths"], host["ReadonlyPaths"] = [], []
    if options:
        host["SecurityOpt"] = options
    for name, key in (("cgroupnsMode", "CgroupnsMode"), ("cgroupParent", "CgroupParent")):
        if inputs.get(name):
            host[key] = inputs[name]
    if "NanoCpus" in host:
        # As documented for the property: 'cpus' goes before period and quota.
        host.pop("CpuPeriod", None)
        host.pop("CpuQuota", None)
    return body


def _live(shown: Json, inputs: PropertyMap, logs: str | None) -> PropertyMap:
    live = take(FIELDS, shown)
    running = is_running(shown)
    job = bool(inputs.get("attach"))
    must_run = inputs.get("mustRun", True)
    # Not running although it must: shown as a property that changed, so that the next update starts it.
    live["mustRun"] = must_run and (running or job or not inputs.get("start", True))
    live["name"] = shown["Name"].lstrip("/")
    image = str(inputs.get("image", ""))
    live["image"] = shown["Image"] if image.startswith("sha256:") else shown["Config"]["Image"]
    live["exitCode"] = None if running else shown["State"]["ExitCode"]
    live["containerLogs"] = logs
    live["platform"] = inputs.get("platform") or shown.get("Platform")
    if running:
        live["ports"] = values.ports_back(shown["NetworkSettings"]["Ports"], inputs.get("ports") or [])
    networks = shown["NetworkSettings"]["Networks"]
    live["networksAdvanced"] = values.still_attached(inputs.get("networksAdvanced") or [], networks)
    host = shown["HostConfig"]
    live["capabilities"] = {"adds": host["CapAdd"] or [], "drops": host["CapDrop"] or []}
    live["securityOpts"] = inputs.get("securityOpts") or host["SecurityOpt"] or []
    live["mounts"] = inputs.get("mounts") or []
    return live


def _update_body(olds: PropertyMap, news: PropertyMap) -> Json:
    """The body of ``POST /containers/{id}/update``: only what changed; empty when nothing did."""

    def changed(name: str) -> bool:
        return bool(normal_property(_ROWS[name], olds.get(name)) != normal_property(_ROWS[name], news.get(name)))

    limits = {name: news.get(name) for name in _UPDATED if changed(name)}
    body: Json = place(FIELDS, limits).get("HostConfig", {})
    if limits.get("memory"):
        # The swap limit cannot be below memory; given none, the daemon's own rule is twice the memory.
        body["MemorySwap"] = values.bytes_of(news.get("memorySwap") or 2 * news["memory"])
    if changed("restart") or changed("maxRetryCount"):
        body["RestartPolicy"] = {
            "Name": news.get("restart", "no"), "MaximumRetryCount": news.get("maxRetryCount", 0)
        }  # fmt: skip
    return body
