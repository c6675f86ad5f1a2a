"""What the parts of a deployment say of themselves: the storage, and every plugin that has the ability."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec

from agentops.cli.doctor.asking import SECONDS, Answer, Unsaid, asked_in_turn, unanswered
from agentops.cli.doctor.waiting import within
from agentops.cli.opening import as_it_is, opened
from agentops.core.discovery import is_built_in, where_raised
from agentops.core.errors import AgentopsError
from agentops.core.ports.diagnosis import Diagnoses, Peeks
from agentops.core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Iterator, Sequence

    from agentops.core.deployment import Deployment
    from agentops.core.plugin import Plugin
    from agentops.core.ports.diagnosis import Finding, Reads
    from agentops.core.ports.storage import Storage


async def ask_parts(deployment: Deployment) -> list[Answer]:
    """The storage first; when it cannot be read, those that would ask it are left out."""
    answers = list[Answer]()
    async with _reading(deployment.storage, answers) as reads:
        for key, part in deployment.parts():
            answers += await _ask(key, part, reads)
    return answers


class _Away:
    """A storage that cannot be read, which is told already."""

    async def read_rows(self, query: str, *values: str | int) -> Sequence[Sequence[Any]]:
        raise Unsaid


@asynccontextmanager
async def _reading(storage: Storage, answers: list[Answer]) -> AsyncGenerator[Reads]:
    """Neither the opening nor the closing may take longer than any other question; the opening is an answer."""
    source = storage.peek() if isinstance(storage, Peeks) else opened(as_it_is(storage))
    async with AsyncExitStack() as stack:
        try:
            reads: Reads = await within(SECONDS, source.__aenter__())
        except Exception as error:  # noqa: BLE001 - a stranger's storage may raise anything
            answers.append(Answer("the database", [_cannot_be_read(error)]))
            yield _Away()
            return
        stack.push_async_callback(_closed, source)
        answers.append(Answer("the database can be read", []))
        yield reads


async def _closed(source: Any) -> None:
    with suppress(Exception):
        await within(SECONDS, source.__aexit__(None, None, None))


def _cannot_be_read(error: Exception) -> Finding:
    if isinstance(error, TimeoutError):
        what = f"no answer within {SECONDS:g} s"
    else:
        what = str(error) if isinstance(error, AgentopsError) else where_raised(error)
    return unanswered(
        what,
        "while it cannot be read nothing is stored, and every request that needs it is answered 503",
        "see that the database is there and runs, and that this machine and this user may reach it",
    ).within("storage")


async def _ask(key: str, part: Plugin[Any], reads: Reads) -> list[Answer]:
    if not isinstance(part, Diagnoses):
        return []
    try:
        questions = list(part.questions(reads))
    except Exception as error:  # noqa: BLE001 - a stranger's plugin may raise anything
        failed = unanswered(f"{type(part).__name__} cannot say what to ask: {where_raised(error)}")
        return [Answer(key, [failed.within(key)])]
    answers = await asked_in_turn(key, questions)
    return answers if is_built_in(type(part)) else _masked(answers, set(_secrets_in(part.settings)))


def _masked(answers: Sequence[Answer], secrets: Collection[str]) -> list[Answer]:
    """A plugin that we do not know may show a secret in any of its words."""
    return [
        Answer(answer.about, [each._replace(problem=each.problem.without(secrets)) for each in answer.findings])
        for answer in answers
    ]


def _secrets_in(value: object) -> Iterator[str]:
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, msgspec.Struct):
        for inner in msgspec.structs.asdict(value).values():
            yield from _secrets_in(inner)
    elif isinstance(value, dict):
        for inner in value.values():  # pyright: ignore[reportUnknownVariableType]
            yield from _secrets_in(inner)  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(value, (list, tuple, set, frozenset)):
        for inner in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _secrets_in(inner)  # pyright: ignore[reportUnknownArgumentType]
