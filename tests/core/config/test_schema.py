from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from jsonschema import Draft202012Validator
from msgspec import Meta, Struct

from agentops.core.config.docstrings import docstrings
from agentops.core.config.files import shipped
from agentops.core.config.schema import schema
from agentops.core.plugin import Settings
from agentops.core.secret import Secret

LANE = '[lanes.a]\npath = "/a"\nserve = ["runs"]\n'


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    made = schema()
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(made)


@pytest.mark.parametrize("name", shipped())
def test_every_deployment_that_ships_is_valid(validator: Draft202012Validator, name: str) -> None:
    assert list(validator.iter_errors(tomllib.loads(shipped()[name].read_text()))) == []


@pytest.mark.parametrize(
    "text",
    [
        LANE + '[auth.static-key]\nkeys = ["a", { file = "b", default = "c" }]',
        LANE + '[auth.key]\nuse = "my.package:Class"\nanything = 1',
        LANE + '[auth.key]\nuse = { env = "X" }\nanything = 1',
        LANE + '[limiter]\nuse = "my.package:Class"',
        LANE + '[storage]\nuse = "postgres"\nurl = { env = "DATABASE_URL" }',
        LANE.replace('["runs"]', '{ env = "SERVE" }'),
    ],
)
def test_what_is_right_is_valid(validator: Draft202012Validator, text: str) -> None:
    assert list(validator.iter_errors(tomllib.loads(text))) == []


@pytest.mark.parametrize(
    "text",
    [
        "colour = 1",
        "[server]\nprot = 1",
        "[server]\nport = 'a'",
        "[server]\nport = 65536",
        "[server]\nport = { env = 'A', file = 'b' }",
        "[server]\nport = { env = 'A', defualt = 1 }",
        "[storage]\npth = 'a'",
        "[storage]\nuse = 'sqlite'\npth = 'a'",
        "[storage]\nuse = 'postgers'",
        "[limiter]",
        "[auth.key]",
        "[auth.key]\nuse = 'static-key'\nkeys = 'a'",
        "[auth.key]\nuse = 'static-key'\nkeys = ['']",
        "[auth.static-key]\ncolour = 1",
        "[features.runs]\ncolour = 1",
        "[lanes.a]\npath = '/a'",
        LANE + "errors = 'plian'",
    ],
)
def test_what_is_wrong_is_not(validator: Draft202012Validator, text: str) -> None:
    assert list(validator.iter_errors(tomllib.loads(text)))


def test_what_the_source_says_about_a_setting_is_in_it(validator: Draft202012Validator) -> None:
    events = validator.schema["$defs"]["EventSettings"]  # type: ignore[index]
    assert events["description"].startswith("`[events]`: ")
    assert events["properties"]["retention"]["description"] == "Events kept in each run, the newest; 0 keeps all."


class Installed:
    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self._monkeypatch = tmp_path / "site", monkeypatch

    def __call__(self, source: str) -> Draft202012Validator:
        info = self._folder / "visiting-1.0.dist-info"
        info.mkdir(parents=True)
        (self._folder / "visiting.py").write_text(source)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: visiting\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[agentops.limiter]\nvisiting = visiting:Visiting\n")
        self._monkeypatch.syspath_prepend(str(self._folder))
        return Draft202012Validator(schema())


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Draft202012Validator]:
    monkeypatch.delitem(sys.modules, "visiting", raising=False)
    return Installed(tmp_path, monkeypatch)


def errors(validator: Draft202012Validator, **limiter: Any) -> int:
    return len(list(validator.iter_errors({"limiter": {"use": "visiting", **limiter}})))


def test_a_plugin_that_does_not_import_may_hold_any_keys(installed: Callable[[str], Draft202012Validator]) -> None:
    assert errors(installed("import not_there\n"), anything=1) == 0


def test_settings_inside_settings_are_described(installed: Callable[[str], Draft202012Validator]) -> None:
    validator = installed(
        """
from agentops.core.plugin import Settings
from agentops.core.ports.limiter import Limiter
from agentops.core.secret import Secret

class Bead(Settings):
    size: int

class VisitingSettings(Settings):
    beads: list[Bead] = []
    weights: dict[str, int] = {}
    word: Secret | None = None
    first: Bead | None = None

class Visiting(Limiter[VisitingSettings]):
    async def hit(self, key, rates, cost=1):
        raise NotImplementedError
"""
    )
    right = {"beads": [{"size": {"env": "S"}}], "weights": {"a": {"env": "A"}, "b": 1}, "word": {"file": "w"}}
    assert errors(validator, **right, first={"size": 1}) == 0
    assert errors(validator, beads=[{"siz": 1}]) == 1
    assert errors(validator, weights={"a": "b"}) == 1
    assert errors(validator, colour=1) == 1


def test_a_type_that_no_file_can_hold_is_the_authors_mistake(installed: Callable[[str], Draft202012Validator]) -> None:
    with pytest.raises(TypeError, match="Colour"):
        installed(
            """
from agentops.core.plugin import Settings
from agentops.core.ports.limiter import Limiter

class Colour:
    pass

class VisitingSettings(Settings):
    colour: Colour | None = None

class Visiting(Limiter[VisitingSettings]):
    async def hit(self, key, rates, cost=1):
        raise NotImplementedError
"""
        )


def test_docstrings_are_read_from_the_source() -> None:
    class Base(Settings):
        low: Annotated[int, Meta(ge=1)] = 1
        """How low,
        and not lower."""
        bare: int = 0

    class Derived(Base):
        """All of it."""

        word: Secret | None = None
        """Said at the gate."""

        def method(self) -> None:
            """Not a setting."""

    assert docstrings(Derived) == {
        "": "All of it.",
        "low": "How low,\nand not lower.",
        "word": "Said at the gate.",
    }


def test_a_type_without_source_has_none() -> None:
    made = type("Made", (Struct,), {"__annotations__": {"a": int}, "__module__": "nowhere"})
    assert docstrings(made).get("a") is None
