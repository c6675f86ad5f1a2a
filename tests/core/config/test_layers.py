from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agentops.core.config.layers import Layer, from_command_line, from_environment, read_layers
from agentops.core.problem import ConfigurationError, Problem

if TYPE_CHECKING:
    from tests.core.config.conftest import Write


def test_the_later_layer_wins_key_by_key(written: Write) -> None:
    path = written('[server]\nhost = "a"\nport = 1\nworkers = 1\n[storage]\npath = "x"\n')
    layer = read_layers(path, {"AGENTOPS__SERVER__PORT": "2", "AGENTOPS__SERVER__WORKERS": "2"}, ["server.workers=3"])
    assert layer.values == {
        "storage": {"use": "sqlite", "path": "x"},
        "bus": {"use": "memory"},
        "server": {"host": "a", "port": "2", "workers": "3"},
    }


def test_each_key_is_traced_to_what_wrote_it(written: Write) -> None:
    path = written('[server]\nhost = "a"\nport = 1\n[storage]\npath = "x"\n[auth.key]\nkeys = ["a"]\n')
    layer = read_layers(path, {"AGENTOPS__SERVER__PORT": "2", "AGENTOPS__EVENTS__X": "1"}, ["lanes.a.path=/a"])
    assert {key: layer.source_of(key) for key in ("server.host", "server.port", "server.typo", "server")} == {
        "server.host": "my.toml",
        "server.port": "AGENTOPS__SERVER__PORT",
        "server.typo": "my.toml",
        "server": "my.toml",
    }
    assert layer.source_of("storage.use") == "built-in defaults"
    assert layer.source_of("storage") == layer.source_of("storage.path") == "my.toml"
    assert layer.source_of("auth.key.keys[0].deep[1]") == "my.toml"
    assert layer.source_of("events") == "AGENTOPS__EVENTS__X"
    assert layer.source_of("lanes.a") == "--set"
    assert layer.source_of("nowhere.at.all") == "my.toml"


def test_another_plugin_replaces_the_table_of_the_one_before(written: Write) -> None:
    path = written('[storage]\npath = "x"\n[auth.key]\nuse = "static-key"\nheader = "x"\n[lanes.a]\nuse = "x"\nb = 1\n')
    environ = {
        "AGENTOPS__STORAGE__USE": "postgres",
        "AGENTOPS__STORAGE__URL": "u",
        "AGENTOPS__AUTH__KEY__USE": "static-key",
    }
    layer = read_layers(path, environ, ["lanes.a.use=y"])
    assert layer.values["storage"] == {"use": "postgres", "url": "u"}
    assert "storage.path" not in layer.sources
    assert layer.values["auth"] == {"key": {"use": "static-key", "header": "x"}}
    assert layer.values["lanes"] == {"a": {"use": "y", "b": 1}}, "only a plugin's `use` stands for all of its table"


def test_a_table_named_like_its_plugin_is_that_plugin_without_use(written: Write) -> None:
    path = written('[auth.static-key]\nheader = "x"\n')
    assert read_layers(path, {}, ["auth.static-key.use=static-key"]).values["auth"] == {
        "static-key": {"use": "static-key", "header": "x"}
    }


def test_names_in_the_environment_are_lower_cased_and_others_are_left_alone() -> None:
    layer = from_environment({"AGENTOPS__SERVER__PORT": "1", "AGENTOPS_API_KEY": "k", "PATH": "p"})
    assert layer.values == {"server": {"port": "1"}}
    assert layer.problems == []


@pytest.mark.parametrize("variable", ["AGENTOPS__", "AGENTOPS__SERVER__", "AGENTOPS____PORT"])
def test_a_variable_that_names_no_key_is_a_problem(variable: str) -> None:
    assert str(from_environment({variable: "1"}).problems[0]).startswith(f"{variable}: no setting is called so; ")


@pytest.mark.parametrize("given", ["server.port", "=5", "server.=5", ".port=5"])
def test_a_set_that_is_no_key_and_value_is_a_problem(given: str) -> None:
    assert "not a key and a value" in str(from_command_line([given]).problems[0])
    assert str(from_command_line([given]).problems[0]).startswith("--set: ")


def test_of_two_sets_the_later_counts_and_a_value_may_hold_anything() -> None:
    assert from_command_line(["a.b=1", "a.b=x=y.z "]).values == {"a": {"b": "x=y.z "}}


@pytest.mark.parametrize("sets", [["a.b=1", "a.b.c=2"], ["a.b.c=2", "a.b=1"]])
def test_a_key_cannot_be_set_as_a_whole_and_in_part(sets: list[str]) -> None:
    assert str(from_command_line(sets).problems[0]).startswith("--set: a.b: set as a whole and key by key at once")


def test_problems_of_every_layer_are_kept(written: Write) -> None:
    layer = read_layers(written(""), {"AGENTOPS__": "1"}, ["x"])
    assert [problem.source for problem in layer.problems] == ["AGENTOPS__", "--set"]


def test_nothing_was_written_by_nobody() -> None:
    assert Layer().source_of("a.b[0]") == ""


class TestFiles:
    @staticmethod
    def problem(path: Path) -> Problem:
        with pytest.raises(ConfigurationError) as caught:
            read_layers(path, {}, [])
        (found,) = caught.value.problems
        return found

    @pytest.mark.parametrize(
        ("text", "place", "what"),
        [
            ("[server]\nport = \n", "line 2, column 8", "not TOML: invalid value"),
            ("a = 1\na = 2\n", "line 2, column 6", "not TOML: cannot overwrite a value"),
            ('[server]\nhost = "', "line 2, column 9", "not TOML: unterminated string"),
        ],
    )
    def test_a_mistake_in_toml_is_found_by_line_and_column(
        self, written: Write, text: str, place: str, what: str
    ) -> None:
        found = self.problem(written(text))
        assert (found.source, found.key, found.what) == ("my.toml", place, what)
        assert len(str(found).splitlines()) == 1

    def test_no_such_file(self) -> None:
        assert str(self.problem(Path("none.toml"))).startswith("none.toml: no such file; ")

    def test_a_folder(self, tmp_path: Path) -> None:
        assert "cannot be read: Is a directory" in str(self.problem(tmp_path))

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
    def test_one_that_may_not_be_read(self, written: Write) -> None:
        path = written("")
        path.chmod(0)
        assert "cannot be read: Permission denied" in str(self.problem(path))

    def test_one_that_is_not_utf_8(self, tmp_path: Path) -> None:
        (tmp_path / "latin.toml").write_bytes(b'host = "\xe4"')
        assert "byte 8 is not UTF-8" in str(self.problem(tmp_path / "latin.toml"))

    def test_one_that_is_nested_too_deeply(self, written: Write) -> None:
        assert "nested too deeply" in str(self.problem(written("a = " + "[" * 10_000)))
