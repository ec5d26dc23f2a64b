"""The end of every operation: diagnostics, outputs, counts, duration."""

from __future__ import annotations

from collections.abc import Iterator

from engine.display import words
from engine.display.board import Board
from engine.display.policies import loaded, section
from engine.display.values import Line, differences, lines
from engine.events import Diagnostic

_order = [op for op in words.operations if op not in words.quiet]


def summary(board: Board, color: bool, *, all_diagnostics: bool = True, diff: bool = False) -> Iterator[str]:
    """The lines to print.  Without ``all_diagnostics`` only warnings and errors (the others were printed before);
    with ``diff`` violations were printed before too.
    """
    finished = board.finished
    packs = finished.packs if finished else ()
    if not diff:
        yield from section(packs, board.violations, board.remedies, color)
    yield from _diagnostics(board, color, all_diagnostics)
    if finished is None:
        yield words.paint("The operation was stopped before it ended.", "red", color)
        return
    new, old = dict(finished.outputs_new), dict(finished.outputs_old)
    changed = list(differences(old, new, 1))
    if changed or (new and not board.preview):
        yield words.paint("Outputs:", "magenta", color)
        unchanged = [] if board.preview else [key for key in new if key in old and old[key] == new[key]]
        kept = [line for key in sorted(unchanged) for line in lines(new[key], " ", 1, key)]
        yield from (text(line, color) for line in (*kept, *changed))
        yield ""
    if diff or not any(each.level == "mandatory" for each in board.violations):
        yield words.paint("Resources:", "magenta", color)
        yield from _counts(board, finished.changes, color)
        if diff:
            yield from loaded(packs, color)
        yield ""
    if not board.preview:
        yield f"{words.paint('Duration:', 'magenta', color)} {words.duration(finished.seconds)}"


def text(line: Line, color: bool) -> str:
    """A line of a difference; depth 1 and more, four columns each, the sign before them."""
    sign, depth, content = line
    style = {"+": "green", "-": "red", "~": "yellow"}.get(sign, "")
    return " " * (4 * depth - 2) + words.paint(f"{sign} {content}", style, color)


def _counts(board: Board, changes: dict[str, int], color: bool) -> Iterator[str]:
    ops = [op for op in _order if changes.get(op)]
    # the two halves of a replacement are one change
    shown = [op for op in ops if op not in ("create-replacement", "delete-replaced") or not changes.get("replace")]
    for op in shown:
        what = f"to {op}" if board.preview else words.done(op)
        yield f"    {words.paint(f'{words.symbol(op)} {changes[op]} {what}', words.colour(op), color)}"
    pieces = []
    if len(shown) > 1:
        pieces.append(f"{sum(changes[op] for op in shown)} changes")
    if same := changes.get("same", 0):
        pieces.append(f"{same} unchanged")
    if pieces:
        yield f"    {'. '.join(pieces)}"
    if board.problems:
        yield f"    {words.paint(f'{board.problems} errored', 'red', color)}"
    if not shown and not pieces and not board.problems:
        yield "    no resources"


def _diagnostics(board: Board, color: bool, everything: bool) -> Iterator[str]:
    by_urn: dict[str, list[Diagnostic]] = {}
    for diagnostic in board.diagnostics:
        if everything or diagnostic.severity in ("warning", "error"):
            by_urn.setdefault(diagnostic.urn or board.root, []).append(diagnostic)
    if not by_urn:
        return
    yield words.paint("Diagnostics:", "magenta", color)
    for urn, diagnostics in by_urn.items():
        row = board.rows.get(urn)
        title = f"{words.short_type(row.type)} ({row.name})" if row else board.stack_name or "stack"
        yield f"  {words.paint(title, 'cyan', color)}:"
        for diagnostic in diagnostics:
            yield from ("    " + line for line in message(diagnostic, color).rstrip("\n").split("\n"))
        yield ""


def message(diagnostic: Diagnostic, color: bool) -> str:
    """The text of a diagnostic with its severity; what the program printed comes as it is."""
    if diagnostic.severity == "info":
        return diagnostic.message
    style = "red" if diagnostic.severity == "error" else "yellow"
    return f"{words.paint(f'{diagnostic.severity}:', style, color)} {diagnostic.message}"
