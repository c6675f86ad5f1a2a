"""Asks one question after the other, none of them for longer than a few seconds, and makes findings of all failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from agentops.cli.doctor.waiting import within
from agentops.core.discovery import where_raised
from agentops.core.errors import Refusal
from agentops.core.ports.diagnosis import Finding
from agentops.core.problem import Problem
from agentops.sql.diagnosis import NoTables

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentops.core.ports.diagnosis import Question

SECONDS: Final = 3.0


class Answer(NamedTuple):
    """What came of one question; a problem's key begins with the part it is about."""

    about: str
    findings: Sequence[Finding]


class Unsaid(Refusal):
    """It cannot be asked, for a reason that another answer has told already."""


async def asked_in_turn(part: str, questions: Iterable[Question]) -> list[Answer]:
    """Those behind one that is met with silence are left out: they would wait as long, for the same reason."""
    answers = list[Answer]()
    for question in questions:
        try:
            findings = await within(SECONDS, _collected(question))
        except TimeoutError:
            silence = unanswered(
                f"{question.about}: no answer within {SECONDS:g} s",
                "what was asked is frozen or overloaded, or the way to it is blocked",
                "see whether it runs, and what it waits for",
            )
            return [*answers, Answer(question.about, [silence.within(part)])]
        except (Unsaid, NoTables):
            continue
        except Refusal as refusal:
            findings = [unanswered(refusal.message or refusal.title)]
        except Exception as error:  # noqa: BLE001 - a stranger's plugin may raise anything
            findings = [unanswered(f"{question.about}: {where_raised(error)}")]
        answers.append(Answer(question.about, [finding.within(part) for finding in findings]))
    return answers


def unanswered(what: str, why: str = "", remedy: str = "") -> Finding:
    return Finding("unanswered", Problem("", what, why, remedy))


async def _collected(question: Question) -> list[Finding]:
    return list(await question.ask())
