"""The layers of a configuration, the later over the earlier, and where each key of the result was written."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from agentops.core.config.references import Text
from agentops.core.config.sections import DEFAULT_USE, is_plugin_table
from agentops.core.problem import ConfigurationError, Problem

PREFIX: Final = "AGENTOPS__"
BUILT_IN: Final = "built-in defaults"
COMMAND_LINE: Final = "--set"

_POSITION: Final = re.compile(
    r"(?P<what>.*?)( \(at (line (?P<line>\d+), column (?P<column>\d+)|end of document)\))?", re.DOTALL
)

Table = dict[str, object]


@dataclass(slots=True)
class Layer:
    """A table of tables, and the name of what wrote each key of it, by the dotted key."""

    values: Table = field(default_factory=dict[str, object])
    sources: dict[str, str] = field(default_factory=dict[str, str])
    problems: list[Problem] = field(default_factory=list[Problem])

    def source_of(self, key: str) -> str:
        """What wrote this key, or else the table that it would stand in."""
        while key and key not in self.sources:
            key = key[: key.rfind("[")] if key.endswith("]") else key.rpartition(".")[0]
        return self.sources.get(key, "")

    def put(self, path: Sequence[str], text: Text, source: str) -> None:
        """Write one key, making the tables on the way."""
        table = self.values
        for depth, name in enumerate(path[:-1], 1):
            inner = table.setdefault(name, {})
            if not isinstance(inner, dict):
                self._clash(table, path[:depth], source)
                return
            self.sources.setdefault(".".join(path[:depth]), source)
            table = cast("Table", inner)
        if isinstance(table.get(path[-1]), dict):
            self._clash(table, path, source)
            return
        table[path[-1]] = text
        self.sources[".".join(path)] = source

    def over(self, below: Layer) -> Layer:
        """Lay this layer over another."""
        sources = below.sources | ({"": self.sources[""]} if "" in self.sources else {})
        values = self._merged(below.values, self.values, (), sources)
        return Layer(values, sources, [*below.problems, *self.problems])

    def _merged(self, below: Table, above: Table, path: tuple[str, ...], sources: dict[str, str]) -> Table:
        merged = dict(below)
        for name, value in above.items():
            here = (*path, name)
            key = ".".join(here)
            old, new = _as_table(merged.get(name)), _as_table(value)
            if old is not None and new is not None and not _another_plugin(here, old, new):
                merged[name] = self._merged(old, new, here, sources)
                if sources[key] == BUILT_IN:
                    sources[key] = self.sources[key]
                continue
            merged[name] = value
            for written in [written for written in sources if written == key or written.startswith(f"{key}.")]:
                del sources[written]
            sources |= {k: source for k, source in self.sources.items() if k == key or k.startswith(f"{key}.")}
        return merged

    def _clash(self, table: Table, path: Sequence[str], source: str) -> None:
        """Neither is kept: what is wrong with one of them would be said of a key that is to be written anew."""
        del table[path[-1]]
        self.problems.append(
            Problem(
                ".".join(path),
                "set as a whole and key by key at once",
                "which of them counts is not said",
                "keep one of them",
                source,
            )
        )


def built_in() -> Layer:
    return _of({section: {"use": name} for section, name in DEFAULT_USE.items()}, BUILT_IN)


def from_file(path: Path) -> Layer:
    """Read a file, or raise with the one problem that keeps it from being read."""
    try:
        return _of(tomllib.loads(path.read_bytes().decode()), path.name, {"": path.name})
    except FileNotFoundError:
        problem = Problem("", "no such file", f"there is nothing at {path.absolute()}", "check the path", str(path))
    except OSError as error:
        problem = Problem("", f"cannot be read: {error.strerror}", "it is the configuration", "name a file", str(path))
    except UnicodeDecodeError as error:
        problem = Problem("", f"byte {error.start} is not UTF-8", "TOML is UTF-8", "save it as UTF-8", path.name)
    except RecursionError:
        problem = Problem("", "nested too deeply", "no setting is so deep", "write it flatter", path.name)
    except tomllib.TOMLDecodeError as error:
        problem = _syntax(str(error), path)
    raise ConfigurationError([problem])


def from_environment(environ: Mapping[str, str]) -> Layer:
    """`AGENTOPS__STORAGE__PATH=x` is `path = x` in `[storage]`."""
    layer = Layer()
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        path = variable.removeprefix(PREFIX).lower().split("__")
        if all(path):
            layer.put(path, Text(environ[variable], f"the value of {variable}"), variable)
        else:
            layer.problems.append(
                Problem(
                    "",
                    "no setting is called so",
                    "it would change nothing",
                    f"write {PREFIX}SECTION__KEY, for example {PREFIX}SERVER__PORT",
                    variable,
                )
            )
    return layer


def from_command_line(sets: Iterable[str]) -> Layer:
    """`storage.path=x` is `path = x` in `[storage]`; said twice, the later counts."""
    layer = Layer()
    for given in sets:
        key, equals, text = given.partition("=")
        path = key.strip().split(".")
        if equals and all(path):
            layer.put(path, Text(text, f"what {COMMAND_LINE} gives"), COMMAND_LINE)
        else:
            layer.problems.append(
                Problem(
                    key.strip(),
                    "not a key and a value",
                    "it would change nothing",
                    f"write {COMMAND_LINE} section.key=value, for example {COMMAND_LINE} server.port=9000",
                    COMMAND_LINE,
                )
            )
    return layer


def read_layers(path: Path, environ: Mapping[str, str], sets: Iterable[str]) -> Layer:
    """All four layers as one."""
    layers = (from_file(path), from_environment(environ), from_command_line(sets))
    result = built_in()
    for layer in layers:
        result = layer.over(result)
    return result


def _of(values: Table, source: str, sources: Mapping[str, str] | None = None) -> Layer:
    return Layer(values, {**(sources or {}), **dict.fromkeys(_keys(values, ""), source)})


def _keys(values: Table, prefix: str) -> Iterable[str]:
    for name, value in values.items():
        yield f"{prefix}{name}"
        if isinstance(value, dict):
            yield from _keys(cast("Table", value), f"{prefix}{name}.")


def _as_table(value: object) -> Table | None:
    return cast("Table", value) if isinstance(value, dict) else None


def _another_plugin(path: tuple[str, ...], below: Mapping[str, object], above: Mapping[str, object]) -> bool:
    return is_plugin_table(path) and "use" in above and above["use"] != below.get("use", path[-1])


def _syntax(message: str, path: Path) -> Problem:
    position = cast("re.Match[str]", _POSITION.fullmatch(message))
    what, line, column = position["what"], position["line"], position["column"]
    if line is None:
        lines = path.read_text().split("\n")
        line, column = str(len(lines)), str(len(lines[-1]) + 1)
    return Problem(
        f"line {line}, column {column}",
        f"not TOML: {what[:1].lower()}{what[1:]}",
        "nothing of the file can be used",
        "mend that line",
        path.name,
    )
