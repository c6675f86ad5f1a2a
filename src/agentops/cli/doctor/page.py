"""What was found as a page for people, worst first, or as one JSON object for programs."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from agentops._version import __version__
from agentops.cli.tailing.lines import printable
from agentops.core.ports.diagnosis import WORST_FIRST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agentops.cli.doctor.asking import Answer
    from agentops.core.ports.diagnosis import Finding, Weight
    from agentops.core.problem import Problem

WIDEST: Final = 110
HEADS: Final[Mapping[Weight, tuple[str, str]]] = {
    "failing": ("Failing", "red"),
    "unanswered": ("Could not be asked", "magenta"),
    "risk": ("At risk", "yellow"),
    "advice": ("Worth knowing", "cyan"),
}


def page(head: str, answers: Sequence[Answer]) -> str:
    """Lines of a terminal are folded at words; those of a pipe are left whole."""
    lines = [head]
    for weight, (title, colour) in HEADS.items():
        findings = [finding for finding in _worst_first(answers) if finding.weight == weight]
        if findings:
            lines += ["", click.style(title, fg=colour, bold=True)]
            lines += [line for finding in findings for line in _paragraph(finding.problem)]
    well = "; ".join(printable(what) for what in fine(answers))
    return "\n".join([*lines, "", _folded(f"Fine: {well or 'nothing'}.", "", "  ")])


def record(answers: Sequence[Answer], **about: str) -> dict[str, Any]:
    findings = [
        {"weight": each.weight, "key": each.problem.key, "what": each.problem.what}
        | {"why": each.problem.why, "remedy": each.problem.remedy, "source": each.problem.source}
        for each in _worst_first(answers)
        if each.weight != "fine"
    ]
    return {"version": __version__, **about, "findings": findings, "fine": list(fine(answers))}


def fine(answers: Sequence[Answer]) -> Iterator[str]:
    """Facts, and what was asked about to no finding."""
    for answer in answers:
        facts = [finding.problem.what for finding in answer.findings if finding.weight == "fine"]
        yield from facts
        if not answer.findings:
            yield answer.about


def _worst_first(answers: Sequence[Answer]) -> list[Finding]:
    findings = [finding for answer in answers for finding in answer.findings]
    return sorted(findings, key=lambda finding: WORST_FIRST.index(finding.weight))


def _paragraph(problem: Problem) -> Iterator[str]:
    place = ": ".join(part for part in (problem.source, problem.key) if part)
    yield _folded(printable(f"{place}: {problem.what}" if place else problem.what), "  ", "    ")
    for label, text in (("why", problem.why), ("do", problem.remedy)):
        if text:
            yield _folded(printable(text), f"    {label:<5}", " " * 9)


def _folded(text: str, first: str, rest: str) -> str:
    if not sys.stdout.isatty():
        return first + text
    width = min(shutil.get_terminal_size().columns, WIDEST)
    return click.wrap_text(text, width, initial_indent=first, subsequent_indent=rest)
