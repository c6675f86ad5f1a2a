"""What the settings of a plugin may hold: each field with its type in words, its default and its sentence."""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_type_hints

import msgspec

from agentops.core.config.shapes import holds_secret, in_words, is_struct

if TYPE_CHECKING:
    from collections.abc import Iterator


class Field(NamedTuple):
    name: str
    type: str
    default: str
    meaning: str


def fields(settings: type[msgspec.Struct]) -> list[Field]:
    hints = get_type_hints(settings, include_extras=True)
    sentences = _sentences(settings)
    return [
        Field(field.encode_name, _type(hints[field.name]), _default(field), sentences.get(field.name, ""))
        for field in msgspec.structs.fields(settings)
    ]


def nested(settings: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    """The settings that stand in tables of their own inside of these, in order."""
    found: dict[type[msgspec.Struct], None] = {}
    for hint in get_type_hints(settings, include_extras=True).values():
        for inner in _structs_in(hint):
            found |= dict.fromkeys([inner, *nested(inner)])
    return list(found)


def _structs_in(hint: Any) -> Iterator[type[msgspec.Struct]]:
    if is_struct(hint):
        yield hint
    for argument in get_args(hint):
        yield from _structs_in(argument)


def _type(hint: object) -> str:
    return in_words(hint) + (" (secret)" if holds_secret(hint) else "")


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    made = field.default_factory is not msgspec.NODEFAULT
    value = field.default_factory() if made else field.default
    return "none" if value is None else f"`{msgspec.json.encode(value).decode()}`"


def _sentences(settings: type) -> dict[str, str]:
    """The strings that stand under fields in the source, also in that of base classes."""
    found: dict[str, str] = {}
    for cls in settings.__mro__:
        if cls is not msgspec.Struct and issubclass(cls, msgspec.Struct):
            found = _sentences_in(textwrap.dedent(inspect.getsource(cls))) | found
    return found


def _sentences_in(source: str) -> dict[str, str]:
    found: dict[str, str] = {}
    statements = [each for cls in ast.parse(source).body if isinstance(cls, ast.ClassDef) for each in cls.body]
    for field, below in pairwise(statements):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(sentence))):
                found[name] = inspect.cleandoc(sentence)
            case _:
                pass
    return found
