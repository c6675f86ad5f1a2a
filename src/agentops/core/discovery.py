"""Finds plugins, by entry point or by `module:Class`, and imports only the one that is named."""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from traceback import extract_tb
from typing import Any, Final, cast

from agentops.core.plugin import LADDER, Kind, Plugin
from agentops.core.problem import ConfigurationError, Problem, closest, nearest

_CLASS: Final = re.compile(r"(?P<module>\w+(\.\w+)*):(?P<attribute>\w+(\.\w+)*)\Z")


def known(kind: Kind) -> list[str]:
    """The names of every installed plugin of a kind, imported or not."""
    return sorted(_installed(kind))


def find(kind: Kind, use: str, key: str = "use") -> type[Plugin[Any]]:
    """Import the plugin that `use` names, or raise with the problem at `key`."""
    installed = _installed(kind)
    if use in installed:
        entry = installed[use]
    elif _CLASS.match(use):
        entry = EntryPoint(use, use, f"agentops.{kind}")
    else:
        meant = closest(use, installed)
        raise _wrong(
            key,
            f"no {kind} plugin is called {use!r}",
            f"installed are: {', '.join(sorted(installed)) or 'none'}",
            f"did you mean {meant!r}?" if meant else "name one of them, or 'module:Class' for one that is not packaged",
        )
    return _of_kind(kind, _load(entry, key), entry.value, key)


def is_built_in(plugin: type[Plugin[Any]]) -> bool:
    """Whether it is part of this package; of what it says it is known that it shows nothing secret."""
    return plugin.__module__.startswith("agentops.")


def where_raised(error: BaseException) -> str:
    """Name an exception and its place, and not its words, which may quote a secret."""
    frames = extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


def _installed(kind: Kind) -> dict[str, EntryPoint]:
    return _scan(tuple(sys.path))[kind]


@lru_cache(maxsize=1)
def _scan(_path: tuple[str, ...]) -> dict[Kind, dict[str, EntryPoint]]:
    """Read the metadata of every package on the path: 30 ms, too long to do it again for each plugin."""
    found = entry_points()
    return {kind: {entry.name: entry for entry in found.select(group=f"agentops.{kind}")} for kind in LADDER}


def _load(entry: EntryPoint, key: str) -> object:
    try:
        found: object = import_module(entry.module)
    except ModuleNotFoundError as error:
        raise _missing(entry, error.name or "", key) from error
    except ImportError as error:
        raise _wrong(
            key,
            f"{entry.module} does not import: {error}",
            "the plugin cannot be made",
            _install_extras(entry) or "mend that import",
        ) from error
    except Exception as error:
        raise _wrong(
            key,
            f"{entry.module} does not import: {type(error).__name__}: {error}",
            "the plugin cannot be made",
            f"mend that module: {where_raised(error)}",
        ) from error
    for name in entry.attr.split("."):
        if not hasattr(found, name):
            classes = [each for each, value in vars(found).items() if isinstance(value, type)]
            raise _wrong(key, f"{entry.module} has no {name!r}", "there is nothing to make", nearest(name, classes))
        found = getattr(found, name)
    return found


def _missing(entry: EntryPoint, missing: str, key: str) -> ConfigurationError:
    if entry.module == missing or entry.module.startswith(f"{missing}."):
        return _wrong(
            key,
            f"no module is called {missing!r}",
            f"{entry.module} would hold the plugin",
            "install its package, or put its folder on PYTHONPATH",
        )
    return _wrong(
        key,
        f"{entry.name} needs {missing!r}, which is not installed",
        f"{entry.module} imports it",
        _install_extras(entry) or f"install the package that brings {missing!r}",
    )


def _install_extras(entry: EntryPoint) -> str:
    if not entry.extras or entry.dist is None:
        return ""
    return f"pip install '{entry.dist.name}[{','.join(entry.extras)}]'"


def _of_kind(kind: Kind, found: object, value: str, key: str) -> type[Plugin[Any]]:
    wanted = _in_words(kind)
    if not _is_plugin(found):
        raise _wrong(
            key,
            f"{value} is not {wanted}",
            "it does not come from the class of its kind",
            f"subclass the one in agentops.core.ports.{kind}",
        )
    plugin = cast("type[Plugin[Any]]", found)
    if plugin.kind != kind:
        raise _wrong(
            key,
            f"{value} is {_in_words(plugin.kind)}, not {wanted}",
            "each kind has methods of its own",
            nearest(value, _installed(kind)),
        )
    undone = [name for name in dir(plugin) if getattr(getattr(plugin, name), "__isabstractmethod__", False)]
    if undone:
        raise _wrong(
            key,
            f"{value} has no {undone[0]}()",
            f"every {kind} plugin is asked for it",
            f"write {', '.join(f'{name}()' for name in undone)}",
        )
    return plugin


def _in_words(kind: Kind) -> str:
    return "an auth plugin" if kind == "auth" else f"a {kind} plugin"


def _is_plugin(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, Plugin) and "kind" in dir(cast("object", found))


def _wrong(key: str, what: str, why: str, remedy: str) -> ConfigurationError:
    return ConfigurationError([Problem(key, what, why, remedy)])
