"""The JSON Schema of a configuration file, with the settings of every plugin that is installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

import msgspec
from msgspec.structs import fields

from agentops.core.config.docstrings import docstrings
from agentops.core.config.sections import DEFAULT_USE, NAMED_PLUGINS, ONE_PLUGIN
from agentops.core.config.settings import EventSettings, LaneSettings, ServerSettings
from agentops.core.config.shapes import bare, is_struct
from agentops.core.discovery import find, known
from agentops.core.plugin import Kind, Settings
from agentops.core.problem import ConfigurationError
from agentops.core.secret import Secret

Schema = dict[str, Any]

_REFERENCE: Final[Schema] = {
    "title": "Reference",
    "description": 'A value that stands elsewhere: { env = "NAME" }, or { file = "/run/secrets/name" }.',
    "type": "object",
    "properties": {
        "env": {"type": "string", "minLength": 1, "description": "The environment variable; empty counts as unset."},
        "file": {"type": "string", "minLength": 1, "description": "The file; one line break at its end is no part."},
        "default": {"description": "What it is when there is no such variable or file."},
        "optional": {"type": "boolean", "description": "Without it, the key is as if it were not written."},
    },
    "oneOf": [{"required": ["env"]}, {"required": ["file"]}],
    "additionalProperties": False,
}
_ONE_SECTIONS: Final[Mapping[str, str]] = {
    "storage": "The database: runs, their events, and the tables of features. SQLite unless it is said.",
    "bus": "How instances tell each other that there is something to read. In memory unless it is said.",
    "limiter": "Counts against a rate.",
    "retry": "What to do when a call out fails.",
}
_NAMED_SECTIONS: Final[Mapping[str, str]] = {
    "telemetry": "Where events, counters and timings go: any number of tables, each of a name of your choice.",
    "models": "Providers of models, by the names under which the gateway knows them.",
    "auth": "Ways to prove who is calling, by the names under which lanes know them.",
    "features": "What lanes serve, where it needs settings of its own.",
}


def schema() -> Schema:
    """Make the schema; a plugin that cannot be imported here may hold any keys."""
    plugins: dict[str, dict[str, type[Settings] | None]] = {
        kind: _settings_of(kind) for kind in (*ONE_PLUGIN.values(), *NAMED_PLUGINS.values())
    }
    core: list[type[Settings]] = [ServerSettings, EventSettings, LaneSettings]
    tops = [*core, *(each for found in plugins.values() for each in found.values() if each is not None)]
    refs, defs = _definitions(tops)
    names = {
        kind: {name: _open_table() if each is None else refs[each] for name, each in found.items()}
        for kind, found in plugins.items()
    }
    for each in tops[len(core) :]:
        defs[_name(refs[each])]["properties"]["use"] = {"description": "Names the plugin."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "agentops",
        "description": "A deployment of agentops.",
        "type": "object",
        "properties": _sections(refs, names),
        "additionalProperties": False,
        "$defs": {
            "reference": _REFERENCE,
            **{f"use-{kind}": _use(kind, tables) for kind, tables in names.items()},
            **defs,
        },
    }


def _sections(refs: Mapping[type[Any], Schema], names: Mapping[str, Mapping[str, Schema]]) -> dict[str, Schema]:
    """What each section may hold; `names` has the tables of the plugins of each kind."""
    sections: dict[str, Schema] = {"server": refs[ServerSettings], "events": refs[EventSettings]}
    for section, kind in ONE_PLUGIN.items():
        default = names[kind][DEFAULT_USE[section]] if section in DEFAULT_USE else None
        sections[section] = {"description": _ONE_SECTIONS[section], **_table(kind, default)}
    for section, kind in NAMED_PLUGINS.items():
        sections[section] = {
            "description": _NAMED_SECTIONS[section],
            "type": "object",
            "properties": {name: _table(kind, table) for name, table in names[kind].items()},
            "additionalProperties": _table(kind, None),
        }
    sections["lanes"] = {
        "description": "Paths: who may enter, what is served there, and how errors look. Each is isolated.",
        "type": "object",
        "additionalProperties": refs[LaneSettings],
    }
    return sections


def _settings_of(kind: Kind) -> dict[str, type[Settings] | None]:
    found: dict[str, type[Settings] | None] = {}
    for name in known(kind):
        try:
            found[name] = find(kind, name).settings_type
        except ConfigurationError:
            found[name] = None
    return found


def _definitions(tops: list[type[Settings]]) -> tuple[dict[type[Any], Schema], dict[str, Schema]]:
    """The reference to each type's definition, and all definitions by name, with their docstrings."""
    types = list(dict.fromkeys(struct for top in tops for struct in _structs(top)))
    made, defs = msgspec.json.schema_components(types, schema_hook=_of_secret, ref_template="#/$defs/{name}")
    refs = dict(zip(types, made, strict=True))
    for struct, ref in refs.items():
        definition = defs[_name(ref)]
        docs = docstrings(struct)
        definition["description"] = docs.pop("", definition["title"])
        definition["properties"] = {
            key: {**_or_reference(value), **({"description": docs[key]} if key in docs else {})}
            for key, value in definition["properties"].items()
        }
    return refs, defs


def _structs(shape: Any) -> Iterator[type[Any]]:
    """Every Struct in a type, the type itself first."""
    base, _ = bare(shape)
    if is_struct(base):
        yield base
        for field in fields(base):
            yield from _structs(field.type)
    for argument in get_args(base):
        yield from _structs(argument)


def _of_secret(shape: type[Any]) -> Schema:
    if shape is not Secret:
        raise NotImplementedError
    return {"type": "string", "minLength": 1}


def _or_reference(value: Schema) -> Schema:
    """Allow a reference wherever a value is no table."""
    if isinstance(value.get("additionalProperties"), dict):
        return {**value, "additionalProperties": _or_reference(value["additionalProperties"])}
    if "$ref" in value or value.get("type") == "object":
        return value
    inner = {key: part for key, part in value.items() if key not in ("default", "description", "title")}
    outer = {key: part for key, part in value.items() if key not in inner}
    if isinstance(inner.get("items"), dict):
        inner["items"] = _or_reference(inner["items"])
    return {**outer, "anyOf": [inner, {"$ref": "#/$defs/reference"}]}


def _use(kind: str, tables: Mapping[str, Schema]) -> Schema:
    """A plugin's table: its `use` decides which keys it has."""
    choices: list[Schema] = [{"const": name} for name in tables]
    choices.append({"type": "string", "pattern": r"^\w+(\.\w+)*:\w+(\.\w+)*$"})
    choices.append({"$ref": "#/$defs/reference"})
    rules = [
        {"if": {"properties": {"use": {"const": name}}, "required": ["use"]}, "then": table}
        for name, table in tables.items()
    ]
    return {
        "title": f"{kind} plugin",
        "type": "object",
        "properties": {
            "use": {"description": "The plugin: the name of an installed one, or 'module:Class'.", "anyOf": choices}
        },
        **({"allOf": rules} if rules else {}),
    }


def _table(kind: str, default: Schema | None) -> Schema:
    """A plugin's table that may leave `use` out where there is a default."""
    table: Schema = {"$ref": f"#/$defs/use-{kind}"}
    if default is None:
        return {**table, "required": ["use"]}
    return {**table, "if": {"not": {"required": ["use"]}}, "then": default}


def _open_table() -> Schema:
    return {"type": "object"}


def _name(ref: Schema) -> str:
    return str(ref["$ref"]).rpartition("/")[2]
