"""The checkpoint of one stack: read, checked, written after every step.

Fields that we do not know are kept as they came.  Resources are encoded once and remembered, so that saving
after each of a thousand steps does not encode a thousand resources each time; a resource given to
:meth:`StateFile.save` must therefore be copied, not changed in place, by whoever goes on working with it.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from engine.backend import codec
from engine.backend.errors import DamagedState, EngineError
from engine.backend.files import write_atomic
from engine.backend.secrets import PassphraseManager
from engine.model import PendingOperation, Resource, Snapshot

_features: Final = {"resourceHooks": "hooks", "taint": "taint"}  # fields of resources that make it version 4


def sdk_version() -> str:
    """``v3.x.y``: the version of the Pulumi SDK whose protocol the engine speaks."""
    return f"v{importlib.metadata.version('pulumi')}"


class StateFile:
    """``stacks/<project>/<stack>.json``; ``secrets`` encrypts what is written, by whatever salt it was read."""

    def __init__(self, path: Path, stack: str, secrets: PassphraseManager | None) -> None:
        self.path, self.stack, self.secrets = path, stack, secrets  # stack: organization/<project>/<stack>
        self._around: dict[str, Any] = {}  # of the checkpoint: what is not ours to change
        self._latest: dict[str, Any] = {}
        self._ciphertexts: dict[tuple[str, str, str], str] = {}  # unchanged secrets keep their ciphertext
        self._encoded: dict[int, tuple[Resource, str]] = {}
        self._untouched = True  # by us: compared with what is to be written only once, not at every step

    def load(self) -> Snapshot:
        """The stack's state.  Raises :class:`DamagedState`, :class:`EngineError`; nothing is written."""
        return self.parse(self._document())

    def salt(self) -> str:
        """The salt that the state names; empty when it names none."""
        return _salt(self.raw().get("secrets_providers"))

    def raw(self) -> dict[str, Any]:
        """The deployment as it stands in the file, secrets encrypted; empty before the first operation."""
        return self._checkpoint(self._document()).get("latest") or {}

    def parse(self, document: Any) -> Snapshot:
        """The state in a versioned checkpoint, which becomes what :meth:`save` builds on."""
        checkpoint = self._checkpoint(document)
        latest = dict(checkpoint.pop("latest", None) or {})
        self._around = checkpoint
        resources, pending = latest.pop("resources", None) or [], latest.pop("pending_operations", None) or []
        snapshot = Snapshot(metadata=latest.pop("metadata", None) or {})
        self._latest = latest
        manager = self.manager_of(latest.get("secrets_providers"))
        position = "resources"

        def open_(urn: str, name: str) -> codec.Open:
            def decrypt(ciphertext: str) -> str:
                if manager is None:
                    raise ValueError("it has a secret but no secrets_providers")
                plain = manager.decrypt(ciphertext)
                if manager is self.secrets:
                    self._ciphertexts[urn, name, plain] = ciphertext
                return plain

            return decrypt

        try:
            for index, data in enumerate(resources):
                position = f"resources[{index}]"
                snapshot.resources.append(codec.resource_from_json(data, open_))
            for index, data in enumerate(pending):
                position = f"pending_operations[{index}]"
                resource = codec.resource_from_json(data["resource"], open_)
                snapshot.pending_operations.append(PendingOperation(resource, data["type"]))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            reason = f"'{error.args[0]}' is missing" if isinstance(error, KeyError) else str(error)
            raise self._damaged(f"{position}: {reason}") from error
        if problem := integrity_problem(snapshot):
            raise self._damaged(problem)
        return snapshot

    def _document(self) -> Any:
        try:
            return json.loads(self.path.read_text(encoding="utf-8", errors="replace"))
        except json.JSONDecodeError as error:
            raise self._damaged(f"line {error.lineno}, column {error.colno}: {error.msg}") from error

    def _checkpoint(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict) or not isinstance(data.get("checkpoint") or {}, dict) or "version" not in data:
            raise self._damaged("it is not a checkpoint: 'version' and 'checkpoint' are missing")
        unknown = sorted(set(data.get("features") or []) - set(_features.values()))
        if data["version"] not in (3, 4) or unknown:
            raise EngineError(
                f"{self.path}: state of version {data['version']} (features: {', '.join(unknown) or 'none'}) is not "
                "supported by this embedded engine, only version 3, and 4 with hooks or taint: use Pulumi's CLI here"
            )
        return data.get("checkpoint") or {}

    def save(self, snapshot: Snapshot) -> None:
        """Write the state atomically; the one before stays as ``.bak``.

        An operation that changed nothing, a failed one above all, leaves the file as it was to the byte.
        """
        text = self.encode(snapshot)
        if self._untouched and self._differs_in_time_alone(text):
            return
        write_atomic(self.path, text, backup=True)
        self._untouched = False

    def _differs_in_time_alone(self, text: str) -> bool:
        try:
            before, after = json.loads(self.path.read_text(encoding="utf-8")), json.loads(text)
        except (OSError, ValueError):
            return False
        for document in (before, after):
            document["checkpoint"].get("latest", {}).get("manifest", {}).pop("time", None)
        return bool(before == after)

    def encode(self, snapshot: Snapshot) -> str:
        """The checkpoint as one line of JSON, secrets encrypted."""
        version = sdk_version()
        latest: dict[str, Any] = {
            "manifest": {
                **self._latest.get("manifest", {}),
                "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
                "magic": hashlib.sha256(version.encode()).hexdigest(),
                "version": version,
            }
        }
        if self.secrets:
            latest["secrets_providers"] = {"type": "passphrase", "state": {"salt": self.secrets.salt_state}}
        latest |= {name: value for name, value in self._latest.items() if name not in latest}
        kept: dict[int, tuple[Resource, str]] = {}
        parts = [codec.dumps(latest)[1:-1]]
        if snapshot.resources:
            parts.append('"resources":[' + ",".join(self._resource(r, kept) for r in snapshot.resources) + "]")
        if snapshot.pending_operations:
            pending = (
                f'{{"resource":{self._resource(p.resource, kept)},"type":{codec.dumps(p.type)}}}'
                for p in snapshot.pending_operations
            )
            parts.append('"pending_operations":[' + ",".join(pending) + "]")
        parts.append(f'"metadata":{codec.dumps(snapshot.metadata)}')
        self._encoded = kept  # what is no longer in the state is forgotten
        around = codec.dumps({"stack": self.stack, **self._around})[:-1]
        pending_resources = (pending.resource for pending in snapshot.pending_operations)
        head = codec.dumps(version_of(resource.extra for resource in (*snapshot.resources, *pending_resources)))[:-1]
        return f'{head},"checkpoint":{around},"latest":{{{",".join(parts)}}}}}}}'

    def _resource(self, resource: Resource, kept: dict[int, tuple[Resource, str]]) -> str:
        known = self._encoded.get(id(resource))  # the entry holds the resource, so its id is not used again
        if known is None:
            fields = codec.fields(resource)
            for name in fields.keys() & {"inputs", "outputs"}:
                seal = functools.partial(self._seal, resource.urn, name)
                fields[name] = codec.encode(fields[name], codec.sealed(seal))
            known = resource, codec.dumps(fields)
        kept[id(resource)] = known
        return known[1]

    def _seal(self, urn: str, name: str, plain: str) -> str:
        if self.secrets is None:
            raise EngineError(f"{urn} has a secret but the stack has no passphrase: set PULUMI_CONFIG_PASSPHRASE")
        sealed = self._ciphertexts.get((urn, name, plain))
        if sealed is None:
            sealed = self._ciphertexts[urn, name, plain] = self.secrets.encrypt(plain)
        return sealed

    def manager_of(self, providers: dict[str, Any] | None) -> PassphraseManager | None:
        """Who decrypts a deployment with these ``secrets_providers``."""
        if not providers:
            return None
        if providers.get("type") != "passphrase":
            raise EngineError(
                f"{self.path}: secrets provider '{providers.get('type')}' is not supported by the embedded engine: "
                "change it with `pulumi stack change-secrets-provider passphrase` of Pulumi's CLI"
            )
        salt = _salt(providers)
        if self.secrets is None or self.secrets.salt_state == salt:
            return self.secrets
        return PassphraseManager(salt, self.secrets.phrase)

    def _damaged(self, what: str) -> DamagedState:
        backup = Path(f"{self.path}.bak")
        advice = "there is no .bak beside it: look under .pulumi/backups for the last good copy"
        if backup.exists():
            advice = f"restore the state before it with `cp {backup} {self.path}`, then run `pulumi refresh`"
        return DamagedState(f"the state file {self.path} is damaged: {what}.\nNothing was changed; {advice}")


def version_of(resources: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """``version`` and ``features`` of a state with resources of these fields: 4 where one has what 3 did not know."""
    found = {feature for fields in resources for name, feature in _features.items() if fields.get(name)}
    return {"version": 4, "features": sorted(found)} if found else {"version": 3}


def _salt(providers: dict[str, Any] | None) -> str:
    return str(((providers or {}).get("state") or {}).get("salt") or "")


def integrity_problem(snapshot: Snapshot) -> str:
    """What is wrong with the order or the references of the resources; empty when nothing is."""
    seen: set[str] = set()
    live: set[str] = set()
    for index, resource in enumerate(snapshot.resources):
        provider = "" if resource.is_provider else resource.provider.rpartition("::")[0]
        for urn in (provider, resource.parent, *resource.dependencies):
            if urn and urn not in seen:
                return f"resources[{index}]: {resource.urn} refers to {urn}, which does not stand before it"
        if not resource.delete:
            if resource.urn in live:
                return f"resources[{index}]: {resource.urn} is there twice"
            live.add(resource.urn)
        seen.add(resource.urn)
    return ""
