"""Plan files, in Pulumi's format (``apitype.DeploymentPlanV1``): values encrypted as in the state."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from engine.backend import codec
from engine.backend.errors import ConfigurationError
from engine.backend.files import write_atomic
from engine.backend.secrets import PassphraseManager
from engine.deploy.plan import Entry, Plan


def write(path: Path, plan: Plan, secrets: PassphraseManager) -> None:
    conceal = codec.sealed(secrets.encrypt)
    entries = {}
    for urn, entry in plan.items():
        entries[urn] = {"steps": entry.ops, "state": codec.encode(entry.outputs, conceal)}
        if entry.goal is not None:
            goal = codec.encode(entry.goal, conceal)
            entries[urn]["goal"] = {key: value for key, value in goal.items() if value is not None}
    manifest = {"time": datetime.now(UTC).isoformat().replace("+00:00", "Z"), "magic": "", "version": ""}
    document = {"manifest": manifest, "resourcePlans": entries}
    write_atomic(path, json.dumps(document, indent=4, ensure_ascii=False) + "\n", mode=0o600)


def read(path: Path, secrets: PassphraseManager) -> Plan:
    """Raises :class:`ConfigurationError` for what is no plan, WrongPassphrase for one of another stack."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["resourcePlans"].items()
        return {
            urn: Entry(
                codec.decode(entry.get("goal"), secrets.decrypt),
                list(entry.get("steps") or []),
                codec.decode(entry.get("state") or {}, secrets.decrypt),
            )
            for urn, entry in entries
        }
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        message = f"{path} is no plan ({type(error).__name__}: {error}): make one with `pulumi preview --save-plan`"
        raise ConfigurationError(message) from error
