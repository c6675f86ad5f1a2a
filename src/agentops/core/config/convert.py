"""From a table to typed settings, field by field and strictly: every mistake is found, not only the first."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Annotated, Any, TypeVar, cast, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo, fields

from agentops.core.config.references import BadReferenceError, Outcome, Text, is_reference, resolve
from agentops.core.config.shapes import (
    bare,
    element,
    holds_secret,
    in_words,
    is_compound,
    is_struct,
    is_table,
    may_be_table,
    members,
    of_value,
    options,
    takes_text,
)
from agentops.core.masking import masked_in_strangers
from agentops.core.problem import ConfigurationError, Problem, nearest
from agentops.core.secret import Secret

T = TypeVar("T", bound=msgspec.Struct)

_LONGEST_SHOWN = 60


def convert_or_raise(values: Mapping[str, object], settings: type[T], label: str) -> T:
    """Make settings of what a plugin was given in Python, or raise with every problem; `label` says whose they are."""
    converter = Converter(os.environ)
    made = converter.struct(dict(values), settings, "")
    if made is None:
        raise ConfigurationError([problem.within(label) for problem in converter.found()])
    return made


class Converter:
    """Converts any number of tables, and keeps what was wrong with them."""

    def __init__(self, environ: Mapping[str, str], source_of: Callable[[str], str] = lambda _: "") -> None:
        self.problems: list[Problem] = []
        self.unset: dict[str, str] = {}
        """Optional variables and files that were not there, by the key that refers to them."""
        self.secrets: set[str] = set()
        self._environ = environ
        self._source_of = source_of

    def struct(self, values: object, settings: type[T], key: str) -> T | None:
        """Make settings of a table, or keep its problems."""
        made = self.value(values, settings, key)
        return made if isinstance(made, settings) else None

    def value(self, value: object, shape: Any, key: str) -> Any:
        """Convert one value to its type; `Outcome.FAILED` if it has a problem, `ABSENT` if it is as if not written."""
        if not is_reference(value) or may_be_table(shape):
            return self._typed(value, shape, key)
        try:
            found = resolve(value, self._environ, "secret" if holds_secret(shape) else "value")
        except BadReferenceError as error:
            return self.report(key, error.what, error.why, error.remedy)
        if found is Outcome.ABSENT:
            self.unset[key] = str(value.get("env", value.get("file")))
            return found
        return self.value(found, shape, key)

    def table(self, value: object, key: str) -> dict[str, object] | None:
        """Take a value for a table whose keys are converted later, or keep the problem."""
        plain = _parsed(value) if isinstance(value, Text) else value
        if isinstance(plain, dict):
            return cast("dict[str, object]", plain)
        self._mismatch(value, dict, key)
        return None

    def salvage(self, values: object, settings: type[T], key: str, **fallbacks: object) -> T:
        """Make settings of what is right in a table, so that the rest of the deployment can be checked with them.

        `fallbacks` stand in for what is wrong, in place of its default.
        """
        table = self.table(values, key)
        if table is None:
            return settings(**fallbacks)
        made = self._fields(table, settings, key)
        usable = {name: value for name, value in made.items() if not isinstance(value, Outcome)}
        wrong = {name: value for name, value in fallbacks.items() if made[name] is Outcome.FAILED}
        return settings(**usable, **wrong)

    def report(self, key: str, what: str, why: str, remedy: str) -> Outcome:
        self.problems.append(Problem(key, what, why, remedy, self._source_of(key)))
        return Outcome.FAILED

    def found(self) -> list[Problem]:
        """Every problem so far; none shows a value that is a secret elsewhere."""
        return [problem.without_values(self.secrets) for problem in self.problems]

    def _typed(self, value: object, shape: Any, key: str) -> Any:
        base, limits = bare(shape)
        if len(members(base)) > 1:
            return self._first_that_fits(value, base, key)
        plain = _parsed(value) if isinstance(value, Text) and not takes_text(base) else value
        if is_compound(base):
            return self._compound(value, plain, shape, key)
        try:
            limited = Annotated[base, *limits] if limits else base
            return msgspec.convert(str(plain) if isinstance(plain, str) else plain, limited, strict=True)
        except msgspec.ValidationError:
            return self._mismatch(value, shape, key)

    def _compound(self, value: object, plain: Any, shape: Any, key: str) -> Any:
        base, _ = bare(shape)
        if is_struct(base) and isinstance(plain, dict | base):
            return self._struct(plain, base, key)
        if get_origin(base) is dict and isinstance(plain, dict):
            return self._dict(cast("dict[str, object]", plain), get_args(base)[1], key)
        if element(base) is not None and isinstance(plain, list | tuple):
            return self._list(cast("list[object]", plain), shape, element(base), key)
        if base is Secret and isinstance(plain, str | Secret):
            return self._secret(plain, key)
        return self._mismatch(value, shape, key)

    def _secret(self, value: str | Secret, key: str) -> Any:
        secret = value if isinstance(value, Secret) else Secret(str(value))
        if not secret.reveal():
            return self.report(
                key,
                "the secret is empty",
                "whoever sends an empty one would match it",
                "write one, or remove the key to have none",
            )
        self.secrets.add(secret.reveal())
        return secret

    def _struct(self, values: object, settings: type[msgspec.Struct], key: str) -> Any:
        if isinstance(values, settings):
            return values
        before = len(self.problems)
        made = self._fields(cast("dict[str, object]", values), settings, key)
        if len(self.problems) > before:
            return Outcome.FAILED
        try:
            return settings(**{name: value for name, value in made.items() if value is not Outcome.ABSENT})
        except ValueError as error:
            said = masked_in_strangers(str(error), self.secrets)
            return self.report(key, said, "these settings do not go together", "change one of them")

    def _fields(self, table: dict[str, object], settings: type[msgspec.Struct], key: str) -> dict[str, Any]:
        known = {field.encode_name: field for field in fields(settings)}
        for name in table:
            if name not in known:
                remedy = nearest(name, known) if known else "remove it: there are no settings here"
                self.report(_join(key, name), "no such setting", "it would change nothing", remedy)
        return {field.name: self._field(table, field, key) for field in known.values()}

    def _field(self, table: dict[str, object], field: FieldInfo, key: str) -> Any:
        here = _join(key, field.encode_name)
        value: Any = Outcome.ABSENT
        if field.encode_name in table:
            value = self.value(table[field.encode_name], field.type, here)
        if value is Outcome.ABSENT and field.required:
            return self.report(
                here,
                "missing",
                "there is no default that would be right for everybody",
                f"write {field.encode_name} = {in_words(field.type)}",
            )
        return value

    def _dict(self, table: dict[str, object], inner: Any, key: str) -> Any:
        made = {name: self.value(value, inner, _join(key, name)) for name, value in table.items()}
        if Outcome.FAILED in made.values():
            return Outcome.FAILED
        return {name: value for name, value in made.items() if value is not Outcome.ABSENT}

    def _list(self, values: list[object], shape: Any, inner: Any, key: str) -> Any:
        made = [self.value(value, inner, f"{key}[{index}]") for index, value in enumerate(values)]
        if any(value is Outcome.FAILED for value in made):
            return Outcome.FAILED
        present = [value for value in made if value is not Outcome.ABSENT]
        base, limits = bare(shape)
        try:
            msgspec.convert(present, Annotated[list[Any], *limits] if limits else list[Any])
        except msgspec.ValidationError:
            return self._mismatch(values, shape, key)
        return get_origin(base)(present)

    def _first_that_fits(self, value: object, union: Any, key: str) -> Any:
        choices = [member for member in members(union) if member is not NoneType]
        if value is None and NoneType in members(union):
            return None
        if len(choices) == 1:
            return self._typed(value, choices[0], key)
        for choice in sorted(choices, key=_preference):
            attempt = Converter(self._environ, self._source_of)
            made = attempt.value(value, choice, key)
            self.secrets |= attempt.secrets
            if made is not Outcome.FAILED:
                return made
        return self._mismatch(value, union, key)

    def _mismatch(self, value: object, shape: Any, key: str) -> Outcome:
        base, _ = bare(shape)
        scalar = isinstance(value, str | int | float) and not (holds_secret(shape) or element(base) or is_table(base))
        shown = _shown(value) if scalar else of_value(value)
        if isinstance(value, Text):
            shown = value.origin
        wanted = in_words(shape)
        remedy = f"write {wanted}"
        if scalar and isinstance(value, str) and options(base):
            remedy = nearest(value, options(base))
        elif scalar and isinstance(value, str) and not isinstance(value, Text):
            remedy += ", without quotes" if not takes_text(base) else ""
        return self.report(key, f"{shown} is not {wanted}", "a value is taken as it is written, or not at all", remedy)


def _preference(shape: Any) -> tuple[bool, bool]:
    """Text first, for what is text stays text; a float last, for it takes whole numbers too."""
    base, _ = bare(shape)
    return base is float, not takes_text(base)


def _parsed(text: Text) -> object:
    try:
        table = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return table["value"] if len(table) == 1 else text


def _shown(value: object) -> str:
    """A long one not even in part: should it be a secret elsewhere, half of it would not be known for one."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    if len(text) <= _LONGEST_SHOWN:
        return text
    return f"text of {len(value)} characters" if isinstance(value, str) else of_value(value)


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name
