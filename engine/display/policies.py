"""The section "Policies": which packs ran, what they mended and what they object to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from engine.display.values import differences, items, text
from engine.display.words import heading, paint, short_type
from engine.events import Remediation, Violation

Packs = tuple[tuple[str, str, str], ...]
_ranks: Final = {"mandatory": 0, "advisory": 1, "critical": 0, "high": 1, "medium": 2, "low": 3, "": 4}


def section(packs: Packs, violations: list[Violation], remedies: list[Remediation]) -> Iterator[str]:
    """Worst first; nothing when no pack was loaded."""
    if not packs:
        return
    yield heading("Policies:")
    for name, version, path in sorted(packs):
        own = [each for each in violations if (each.pack, each.version) == (name, version)]
        mark = "❌" if any(each.level == "mandatory" for each in own) else "⚠️" if own else "✅"
        yield f"    {mark} {paint(f'{name}@v{version}', 'cyan')} (local: {path})"
        mended = Counter(each.policy for each in remedies if (each.pack, each.version) == (name, version))
        for policy, count in sorted(mended.items()):
            title = paint(f"[remediate]  {policy}", "cyan")
            yield f"        - {title}  ({count} resource{'' if count == 1 else 's'})"
        for each in sorted(own, key=lambda v: (_ranks[v.level], _ranks[v.severity], v.policy, v.urn)):
            yield f"        - {_title(each)}"
            yield from (f"          {line}" for line in each.message.rstrip("\n").split("\n"))
    yield ""


def loaded(packs: Packs) -> Iterator[str]:
    """The table that ends ``--diff``, where violations stand among the resources."""
    if packs:
        rows = [("Name", "Version"), *((f"{name} ({path})", version) for name, version, path in packs)]
        width = max(len(name) for name, _ in rows)
        yield ""
        yield heading("Policy Packs run:")
        yield from (f"    {name:<{width}}  {version}" for name, version in rows)


def in_place(event: Violation | Remediation) -> Iterator[str]:
    """Where it happens, in ``--diff``: what is violated, or what a remedy changed."""
    pack = f"{event.pack}@v{event.version}"
    if isinstance(event, Violation):
        yield f"    {paint(pack, 'cyan')} {_title(event)}"
        yield from (f"        {line}" for line in event.message.rstrip("\n").split("\n"))
    elif changed := list(differences(items(event.before), items(event.after), 2)):
        yield f"    {paint(f'{pack} [remediate]  {event.policy}', 'cyan')}  {_place(event.urn)}"
        yield from map(text, changed)


def _title(event: Violation) -> str:
    severity = f" [severity: {event.severity}]" if event.severity else ""
    title = f"[{event.level}]{severity}  {event.policy}"
    return f"{paint(title, 'red' if event.level == 'mandatory' else 'yellow')}  {_place(event.urn)}"


def _place(urn: str) -> str:
    _, _, types, name = urn.split("::", 3)
    return f"({short_type(types.rpartition('$')[2])}: {name})"
