"""The end of every operation: diagnostics, outputs, counts, duration."""

from __future__ import annotations

from collections.abc import Iterator

from engine.display.board import Board
from engine.display.policies import loaded, section
from engine.display.values import differences, lines, text
from engine.display.words import duration, heading, operations, paint, quiet, short_type
from engine.events import Diagnostic


def summary(board: Board, *, all_diagnostics: bool = True, diff: bool = False) -> Iterator[str]:
    """The lines to print.  Without ``all_diagnostics`` only warnings and errors (the others were printed before);
    with ``diff`` violations were printed before too.
    """
    finished = board.finished
    packs = finished.packs if finished else ()
    if not diff:
        yield from section(packs, board.violations, board.remedies)
    yield from _diagnostics(board, all_diagnostics)
    if finished is None:
        yield paint("The operation was stopped before it ended.", "red")
        return
    new, old = dict(finished.outputs_new), dict(finished.outputs_old)
    changed = list(differences(old, new, 1))
    if changed or (new and not board.preview):
        yield heading("Outputs:")
        unchanged = [] if board.preview else [key for key in new if key in old and old[key] == new[key]]
        yield from (text(line) for key in sorted(unchanged) for line in lines(new[key], " ", 1, key))
        yield from map(text, changed)
        yield ""
    if diff or not any(each.level == "mandatory" for each in board.violations):
        yield heading("Resources:")
        yield from _counts(board, finished.changes)
        yield from loaded(packs) if diff else ()
        yield ""
    if not board.preview:
        yield f"{heading('Duration:')} {duration(finished.seconds)}"


def _counts(board: Board, changes: dict[str, int]) -> Iterator[str]:
    halves = ("create-replacement", "delete-replaced") if changes.get("replace") else ()  # of one change
    shown = {op: word for op, word in operations.items() if changes.get(op) and op not in (*quiet, *halves)}
    for op, word in shown.items():
        what = f"to {op}" if board.preview else word.done
        yield f"    {paint(f'{word.sign} {changes[op]} {what}', word.colour)}"
    pieces = [f"{sum(changes[op] for op in shown)} changes"] if len(shown) > 1 else []
    if same := changes.get("same", 0):
        pieces.append(f"{same} unchanged")
    if pieces:
        yield f"    {'. '.join(pieces)}"
    if failed := sum(row.state == "failed" for row in board.rows.values()):
        yield f"    {paint(f'{failed} errored', 'red')}"
    if not (shown or pieces or failed):
        yield "    no resources"


def _diagnostics(board: Board, everything: bool) -> Iterator[str]:
    by_urn: dict[str, list[Diagnostic]] = {}
    for diagnostic in board.diagnostics:
        if everything or diagnostic.severity in ("warning", "error"):
            by_urn.setdefault(diagnostic.urn or board.root, []).append(diagnostic)
    if by_urn:
        yield heading("Diagnostics:")
    for urn, diagnostics in by_urn.items():
        row = board.rows.get(urn)
        title = f"{short_type(row.type)} ({row.name})" if row else board.stack_name or "stack"
        yield f"  {paint(title, 'cyan')}:"
        for diagnostic in diagnostics:
            yield from ("    " + line for line in message(diagnostic).rstrip("\n").split("\n"))
        yield ""


def message(diagnostic: Diagnostic) -> str:
    """The text of a diagnostic with its severity; what the program printed comes as it is."""
    if diagnostic.severity == "info":
        return diagnostic.message
    style = "red" if diagnostic.severity == "error" else "yellow"
    return f"{paint(f'{diagnostic.severity}:', style)} {diagnostic.message}"
