"""Finds the fenced blocks of a page, with what the comments above them say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTIVES: Final = ("file", "env", "wrong", "shown", "not run")
LANGUAGES: Final = ("python", "toml", "console", "sh")
NOT_CODE_OF_OURS: Final = ("text", "nginx", "ini")

_DIRECTIVE: Final = re.compile(r"<!-- ([a-z ]+): (.+) -->")
_FENCE: Final = re.compile(r" {0,3}```(?P<language>\S*)(?P<rest>.*)")


class Block(NamedTuple):
    """A fenced block: where its first line stands, its language, its text, and its directives."""

    line: int
    language: str
    text: str
    said: dict[str, str]


def blocks_of(page: str) -> Iterator[Block]:
    lines = iter(enumerate(page.splitlines(), 1))
    said: dict[str, str] = {}
    for number, line in lines:
        if fence := _FENCE.fullmatch(line):
            inside: list[str] = []
            for _, text in lines:
                if text.strip() == "```":
                    break
                inside.append(text)
            yield Block(number + 1, fence["language"], "\n".join(inside) + "\n", said)
            said = {}
        elif (directive := _DIRECTIVE.fullmatch(line)) and directive[1] in DIRECTIVES:
            said = {**said, directive[1]: directive[2]}
        elif line:
            said = {}


def is_run(block: Block) -> bool:
    return (block.language in LANGUAGES or "shown" in block.said) and "not run" not in block.said


class Command(NamedTuple):
    """A line after `$` in a console, and what stands below it."""

    line: int
    text: str
    output: str


def commands_of(block: Block) -> Iterator[Command]:
    """In `sh` every line is a command and nothing is expected; in `console` those after `$` are."""
    if block.language == "sh":
        for offset, line in enumerate(block.text.splitlines()):
            if line.strip():
                yield Command(block.line + offset, line, "…")
        return
    for part in re.split(r"^(?=\$ )", block.text, flags=re.MULTILINE):
        first, _, output = part.partition("\n")
        if first.startswith("$ "):
            before = block.text[: block.text.index(part)].count("\n")
            yield Command(block.line + before, first.removeprefix("$ "), output.strip())


def pattern_of(output: str) -> re.Pattern[str]:
    """What is printed must be this, where `…` is anything, and so is a time for another time."""
    escaped = re.escape(output).replace("…", ".*")
    return re.compile(re.sub(r"\d{10,}", r"\\d+", escaped), re.DOTALL)
