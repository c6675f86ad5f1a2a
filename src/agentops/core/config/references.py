"""Values that stand elsewhere: `{ env = "NAME" }` and `{ file = "/run/secrets/x" }`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final, Self, TypeGuard

from agentops.core.problem import nearest

_KEYS: Final = ("env", "file", "default", "optional")


class Outcome(Enum):
    """What may come of a value that is not there to be used."""

    ABSENT = "absent"
    FAILED = "failed"


class Text(str):
    """What came as bare text from outside the file: parsed as TOML, unless its setting takes text."""

    __slots__ = ("origin",)

    origin: str
    """Where it came from, to be named in place of the text, which may be secret."""

    def __new__(cls, text: str, origin: str) -> Self:
        made = super().__new__(cls, text)
        made.origin = origin
        return made


class BadReferenceError(Exception):
    """A reference that gives no value, with the words for its problem."""

    def __init__(self, what: str, why: str, remedy: str) -> None:
        super().__init__(what)
        self.what, self.why, self.remedy = what, why, remedy


def is_reference(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict) and ("env" in value or "file" in value)


def resolve(reference: Mapping[str, object], environ: Mapping[str, str], noun: str) -> Any:
    """Return the text referred to, or the default, or `Outcome.ABSENT`; an empty variable or file counts as unset."""
    place = _place(reference)
    found = _variable(place, environ) if "env" in reference else _file(place)
    if found:
        return found
    if "default" in reference:
        return reference["default"]
    if reference.get("optional"):
        return Outcome.ABSENT
    if "env" in reference:
        what, remedy = f"missing {noun}: the variable {place} is not set", f"set {place} in the environment"
    else:
        what, remedy = f"missing {noun}: the file {place} is not there, or empty", f"write it to {place}"
    raise BadReferenceError(what, "nothing stands in for it", f"{remedy}, or add `default = …` or `optional = true`")


def _place(reference: Mapping[str, object]) -> str:
    for key in reference:
        if key not in _KEYS:
            raise BadReferenceError(
                f"a reference has no {key!r}", "it would be ignored without a word", nearest(key, _KEYS)
            )
    kinds = [key for key in ("env", "file") if key in reference]
    if len(kinds) > 1:
        raise BadReferenceError(
            "a reference names a variable and a file",
            "which of them counts is not said",
            "keep one of `env` and `file`",
        )
    place = reference[kinds[0]]
    if not isinstance(place, str) or not place or "\0" in place:
        raise BadReferenceError(
            f"`{kinds[0]}` of a reference holds no name", "there is nothing to look up", 'write { env = "NAME" }'
        )
    if not isinstance(reference.get("optional", False), bool):
        raise BadReferenceError(
            "`optional` of a reference is true or false",
            "anything else could be read either way",
            "write optional = true",
        )
    return place


def _variable(name: str, environ: Mapping[str, str]) -> Text:
    return Text(environ.get(name, ""), f"the value of {name}")


def _file(place: str) -> Text:
    try:
        content = Path(place).read_bytes().decode()
    except FileNotFoundError:
        content = ""
    except OSError as error:
        raise BadReferenceError(
            f"the file {place} cannot be read: {os.strerror(error.errno or 0)}",
            "what it holds is needed here",
            "mend its permissions, or name another file",
        ) from None
    except UnicodeDecodeError:
        raise BadReferenceError(
            f"the file {place} is not UTF-8 text", "a setting is text", "save it as UTF-8"
        ) from None
    return Text(content.removesuffix("\n").removesuffix("\r"), f"the content of {place}")
