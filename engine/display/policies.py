"""The section "Policies": which packs ran, what they mended and what they object to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from engine.display import words
from engine.display.values import Line, differences, visible
from engine.events import Remediation, Violation

Packs = tuple[tuple[str, str, str], ...]
_ranks: Final = {"mandatory": 0, "advisory": 1, "critical": 0, "high": 1, "medium": 2, "low": 3, "": 4}


def section(packs: Packs, violations: list[Violation], remedies: list[Remediation], color: bool) -> Iterator[str]:
    """Worst first; nothing when no pack was loaded."""
    if not packs:
        return
    yield words.paint("Policies:", "magenta", color)
    for name, version, path in sorted(packs):
        own = [each for each in violations if (each.pack, each.version) == (name, version)]
        mark = "❌" if any(each.level == "mandatory" for each in own) else "⚠️" if own else "✅"
        yield f"    {mark} {words.paint(f'{name}@v{version}', 'cyan', color)} (local: {path})"
        mended = Counter(each.policy for each in remedies if (each.pack, each.version) == (name, version))
        for policy, count in sorted(mended.items()):
            title = words.paint(f"[remediate]  {policy}", "cyan", color)
            yield f"        - {title}  ({count} resource{'' if count == 1 else 's'})"
        for each in sorted(own, key=lambda v: (_ranks[v.level], _ranks[v.severity], v.policy, v.urn)):
            yield f"        - {_title(each, color)}"
            yield from (f"          {line}" for line in each.message.rstrip("\n").split("\n"))
    yield ""


def loaded(packs: Packs, color: bool) -> Iterator[str]:
    """The table that ends ``--diff``, where violations stand among the resources."""
    if packs:
        rows = [("Name", "Version"), *((f"{name} ({path})", version) for name, version, path in packs)]
        width = max(len(name) for name, _ in rows)
        yield ""
        yield words.paint("Policy Packs run:", "magenta", color)
        yield from (f"    {name:<{width}}  {version}" for name, version in rows)


def violation(event: Violation, color: bool) -> Iterator[str]:
    """Where it happens, in ``--diff``."""
    yield f"    {words.paint(f'{event.pack}@v{event.version}', 'cyan', color)} {_title(event, color)}"
    yield from (f"        {line}" for line in event.message.rstrip("\n").split("\n"))


def remediation(event: Remediation, color: bool) -> tuple[str, list[Line]]:
    """The heading and the lines of what a remedy changed."""
    title = words.paint(f"{event.pack}@v{event.version} [remediate]  {event.policy}", "cyan", color)
    return f"    {title}  {_place(event.urn)}", list(differences(visible(event.before), visible(event.after), 2))


def _title(event: Violation, color: bool) -> str:
    severity = f" [severity: {event.severity}]" if event.severity else ""
    text = f"[{event.level}]{severity}  {event.policy}"
    return f"{words.paint(text, 'red' if event.level == 'mandatory' else 'yellow', color)}  {_place(event.urn)}"


def _place(urn: str) -> str:
    _, _, types, name = urn.split("::", 3)
    return f"({words.short_type(types.rpartition('$')[2])}: {name})"
