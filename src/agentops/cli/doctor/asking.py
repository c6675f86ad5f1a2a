"""Asks one question after the other, none of them for longer than a few seconds, and makes findings of all failures."""

from __future__ import annotations

import asyncio
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from agentops.core.discovery import where_raised
from agentops.core.errors import Refusal
from agentops.core.ports.diagnosis import Finding
from agentops.core.problem import Problem
from agentops.sql.diagnosis import NoTables

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence

    from agentops.core.ports.diagnosis import Question

SECONDS: Final = 3.0
LEAVING_SECONDS: Final = 0.5

T = TypeVar("T")


class Answer(NamedTuple):
    """What came of one question; a problem's key begins with the part it is about."""

    about: str
    findings: Sequence[Finding]


class Unsaid(Refusal):
    """It cannot be asked, for a reason that another answer has told already."""


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end; unlike asyncio's own, wait for nothing that was left behind and would not end."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _loop, _context: None)
    try:
        return loop.run_until_complete(main)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=LEAVING_SECONDS))
        if all(task.done() for task in left):
            loop.close()


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
            return [*answers, Answer(question.about, [_within(part, silence)])]
        except (Unsaid, NoTables):
            continue
        except Refusal as refusal:
            findings = [unanswered(refusal.message or refusal.title)]
        except Exception as error:  # noqa: BLE001 - a stranger's plugin may raise anything
            findings = [unanswered(f"{question.about}: {where_raised(error)}")]
        answers.append(Answer(question.about, [_within(part, finding) for finding in findings]))
    return answers


async def within(seconds: float, asking: Awaitable[T]) -> T:
    """Wait so long and no longer, also for what does not end when it is cancelled: that is left behind."""
    task = asyncio.ensure_future(asking)
    await asyncio.wait({task}, timeout=seconds)
    if task.done():
        return task.result()
    task.cancel()
    raise TimeoutError


async def aside(function: Callable[[], T]) -> T:
    """Run what blocks in a thread that does not hold up the end of the process, however long it blocks."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: Exception | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = function()
        except Exception as raised:  # noqa: BLE001 - whatever it is, it belongs to who asked
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, result, error)

    Thread(target=run, daemon=True).start()
    return await done


def unanswered(what: str, why: str = "", remedy: str = "") -> Finding:
    return Finding("unanswered", Problem("", what, why, remedy))


async def _collected(question: Question) -> list[Finding]:
    return list(await question.ask())


def _within(part: str, finding: Finding) -> Finding:
    return finding._replace(problem=finding.problem.within(part))
