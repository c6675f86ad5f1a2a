"""What the fake provider says, whoever's words it says it in: the same to the same question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from agentops.core.ports.model import Usage
from agentops.outgoing import as_objects

if TYPE_CHECKING:
    from collections.abc import Mapping

CREATED = 1_750_000_000
QUOTED_MOST = 60
CHARACTERS_OF_A_TOKEN = 4

Fields = dict[str, Any]


class Question(NamedTuple):
    """A request's body, and what the answer is to be made of."""

    fields: Fields
    number: int
    """Of the request, counted from 1."""
    reply: str | None
    usage: Usage | None

    @property
    def model(self) -> str:
        return str(self.fields.get("model", ""))


class Reply(NamedTuple):
    """An answer in both ways: at once, or as events with their names."""

    whole: Fields
    events: list[tuple[str, Fields]]
    done: bytes = b""
    """How a stream says that it is over, if not by its last event."""


def text_of(question: Question, asked: str) -> str:
    if question.reply is not None:
        return question.reply
    quoted = asked if len(asked) <= QUOTED_MOST else f"{asked[:QUOTED_MOST]}…"
    return f"You asked: {quoted}"


def last_user_text(messages: object) -> str:
    """The text of the last message that is the user's, whether it is a string or parts."""
    for message in reversed(as_objects(messages)):
        if message.get("role") == "user":
            return text_in(message.get("content"))
    return ""


def text_in(content: object) -> str:
    if isinstance(content, str):
        return content
    return " ".join(str(part["text"]) for part in as_objects(content) if isinstance(part.get("text"), str))


def words_of(text: str) -> list[str]:
    """The pieces in which a text is streamed; together they are the text."""
    words = text.split(" ")
    return [word if place == 0 else f" {word}" for place, word in enumerate(words)]


def shortened(text: str, most: object) -> tuple[str, bool]:
    """As many words as there may be tokens, and whether that was too few."""
    words = words_of(text)
    if not isinstance(most, int) or most >= len(words):
        return text, False
    return "".join(words[:most]), True


def used(question: Question, written: str) -> Usage:
    """What is said to have been used: what was told to, else a count that follows from the texts."""
    if question.usage is not None:
        return question.usage
    return Usage(tokens_in(msgspec.json.encode(question.fields).decode()), tokens_in(written))


def tokens_in(text: str) -> int:
    return max(1, len(text) // CHARACTERS_OF_A_TOKEN)


def named(holder: Mapping[str, Any], *names: str) -> object:
    """The first of several names that is there."""
    return next((holder[name] for name in names if holder.get(name) is not None), None)
