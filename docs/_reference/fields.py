"""What the settings of a plugin may hold: each field with its type in words, its default and its sentence."""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise
from typing import NamedTuple, get_type_hints

import msgspec

from agentops.core.config.shapes import holds_secret, in_words


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
