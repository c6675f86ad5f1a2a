"""The type of a setting, taken apart, and said in words."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta

from agentops.core.secret import Secret

_LISTS: Final = (list, tuple, set, frozenset)
_WORDS: Final[dict[object, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Secret: "text",
    dict: "a table",
}


def bare(shape: Any) -> tuple[Any, tuple[Meta, ...]]:
    """Split `Annotated[int, Meta(ge=1)]` into the type and its limits."""
    if get_origin(shape) is Annotated:
        base, *notes = get_args(shape)
        return base, tuple(note for note in notes if isinstance(note, Meta))
    return shape, ()


def members(shape: Any) -> tuple[Any, ...]:
    """The types of a union, `None` included; of anything else, that type alone."""
    return get_args(shape) if get_origin(shape) in (Union, UnionType) else (shape,)


def element(shape: Any) -> Any | None:
    """What a list, a set or a tuple of any length holds; of anything else, `None`."""
    if get_origin(shape) not in _LISTS:
        return None
    arguments = [argument for argument in get_args(shape) if argument is not Ellipsis]
    return arguments[0] if len(arguments) == 1 else None


def is_table(shape: Any) -> bool:
    return get_origin(shape) is dict or shape is dict or is_struct(shape)


def is_struct(shape: Any) -> bool:
    return isinstance(shape, type) and issubclass(shape, msgspec.Struct)


def is_compound(shape: Any) -> bool:
    """Whether it is made of parts that are converted one by one, or is a secret."""
    return shape is Secret or is_struct(shape) or get_origin(shape) is dict or element(shape) is not None


def may_be_table(shape: Any) -> bool:
    return any(is_table(bare(member)[0]) for member in members(bare(shape)[0]))


def takes_text(shape: Any) -> bool:
    """Whether text from outside the file is used as it is, and not parsed first."""
    if get_origin(shape) is Literal:
        return any(isinstance(option, str) for option in get_args(shape))
    return shape not in (bool, int, float) and get_origin(shape) not in _LISTS and not is_table(shape)


def holds_secret(shape: Any) -> bool:
    return shape is Secret or any(holds_secret(argument) for argument in get_args(shape))


def options(shape: Any) -> list[str]:
    """The words among which a literal chooses."""
    return [option for option in get_args(shape) if isinstance(option, str)] if get_origin(shape) is Literal else []


def of_value(value: object) -> str:
    """Say what a value is without showing it."""
    kinds: dict[object, str] = {**_WORDS, list: "a list", tuple: "a list"}
    return kinds.get(type(value)) or f"a {type(value).__name__}"


def in_words(shape: Any) -> str:
    """Say what is wanted: `a whole number from 0 to 65535`, or as its author describes it."""
    base, notes = bare(shape)
    for note in notes:
        if note.description is not None:
            return note.description
    parts = [member for member in members(base) if member is not NoneType]
    if len(parts) > 1:
        words = " or ".join(in_words(part) for part in parts)
    elif parts[0] is not base:
        words = in_words(parts[0])
    elif get_origin(base) is Literal:
        words = "one of " + ", ".join(repr(option) for option in get_args(base))
    elif get_origin(base) in _LISTS:
        inner = element(base)
        words = f"a list of which each is {in_words(inner)}" if inner is not None else "a list"
    elif is_table(base):
        words = "a table"
    else:
        words = _WORDS.get(base) or str(getattr(base, "__name__", base))
    return " ".join([words, *(limit for note in notes for limit in _limits(note, base))])


def _limits(note: Meta, base: Any) -> list[str]:
    counted = "characters" if base is str else "elements"
    limits: list[str] = []
    if note.ge is not None and note.le is not None:
        limits.append(f"from {note.ge} to {note.le}")
    else:
        limits += [f"of at least {note.ge}"] if note.ge is not None else []
        limits += [f"of at most {note.le}"] if note.le is not None else []
    limits += [f"above {note.gt}"] if note.gt is not None else []
    limits += [f"below {note.lt}"] if note.lt is not None else []
    limits += [f"that is a multiple of {note.multiple_of}"] if note.multiple_of is not None else []
    limits += [f"that matches {note.pattern}"] if note.pattern is not None else []
    limits += [f"with at least {note.min_length} {counted}"] if note.min_length is not None else []
    limits += [f"with at most {note.max_length} {counted}"] if note.max_length is not None else []
    return limits
