"""Who may import whom: read from the source, so that an import inside a function counts too."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

import agentops

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE: Final = Path(agentops.__file__).parent


class Module(NamedTuple):
    """A module of the package: its dotted name, its tree, and everything it imports by full name."""

    name: str
    tree: ast.Module
    imports: frozenset[str]


def modules() -> Iterator[Module]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ("agentops", *path.relative_to(PACKAGE).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        tree = ast.parse(path.read_text("utf-8"), str(path))
        yield Module(name, tree, frozenset(imported(tree, name if is_package else name.rpartition(".")[0])))


def imported(tree: ast.Module, package: str) -> Iterator[str]:
    """Yield the modules a tree imports; of `from a import b` both `a` and `a.b`, since `b` may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


MODULES: Final = {module.name: module for module in modules()}


def inside(name: str, *roots: str) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


def plugin_of(name: str) -> str | None:
    """`agentops.plugins.storage.sqlite` for that module and everything in it; `None` for what is no plugin's."""
    parts = name.split(".")
    return ".".join(parts[:4]) if inside(name, "agentops.plugins") and len(parts) >= 4 else None


def breaches(*, of: tuple[str, ...], never: tuple[str, ...]) -> list[str]:
    return sorted(
        f"{module.name} imports {target}"
        for module in MODULES.values()
        if inside(module.name, *of)
        for target in module.imports
        if inside(target, *never)
    )


ARROWS: Final = {
    "core knows no plugin, no SQL helper, no command and no test": (
        ("agentops.core",),
        ("agentops.plugins", "agentops.sql", "agentops.cli", "agentops.client", "agentops.testing"),
    ),
    "ports know neither Litestar nor the ORM": (
        ("agentops.core.ports", "agentops.core.plugin"),
        ("litestar", "sqlalchemy.orm", "sqlalchemy.ext.declarative"),
    ),
    "configuration knows no Litestar": (("agentops.core.config",), ("litestar",)),
    "nothing uses the ORM": (("agentops",), ("sqlalchemy.orm", "sqlalchemy.ext.declarative", "advanced_alchemy")),
    "sql knows no plugin": (("agentops.sql",), ("agentops.plugins", "agentops.cli", "agentops.testing")),
    "money knows no plugin": (("agentops.money",), ("agentops.plugins", "agentops.cli", "agentops.testing")),
    "calls to providers know no plugin": (
        ("agentops.outgoing",),
        ("agentops.plugins", "agentops.sql", "agentops.cli", "agentops.testing", "litestar"),
    ),
    "plugins know no command and no test": (("agentops.plugins",), ("agentops.cli", "agentops.testing")),
    "the client knows no server": (
        ("agentops.client",),
        ("agentops.core", "agentops.plugins", "agentops.sql", "agentops.cli", "agentops.testing", "litestar"),
    ),
}


@pytest.mark.parametrize("arrow", ARROWS)
def test_arrow_holds(arrow: str) -> None:
    of, never = ARROWS[arrow]
    assert any(inside(name, *of) for name in MODULES), f"there is nothing in {of}"
    assert breaches(of=of, never=never) == []


def test_no_plugin_imports_another() -> None:
    found = [
        f"{module.name} imports {target}"
        for module in MODULES.values()
        if (own := plugin_of(module.name))
        for target in module.imports
        if (other := plugin_of(target)) and other != own
    ]
    assert found == []


@pytest.mark.parametrize("name", MODULES)
def test_module_says_what_it_is_for(name: str) -> None:
    assert ast.get_docstring(MODULES[name].tree)


def test_relative_imports_are_followed() -> None:
    tree = ast.parse("from . import a\nfrom ..b import c\nimport d.e")
    assert set(imported(tree, "x.y")) == {"x.y", "x.y.a", "x.b", "x.b.c", "d.e"}
