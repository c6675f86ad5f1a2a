from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from agentops.core.auth_settings import HeaderName
from agentops.core.config.convert import Converter, convert_or_raise
from agentops.core.config.references import Outcome, Text
from agentops.core.plugin import Settings
from agentops.core.problem import ConfigurationError
from agentops.core.secret import Secret


class Inner(Settings):
    size: Annotated[int, Meta(ge=1)] = 1
    word: Secret | None = None


class Everything(Settings):
    name: str
    count: Annotated[int, Meta(ge=0, le=9)] = 3
    share: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    on: bool = False
    mode: Literal["fast", "safe"] = "safe"
    keys: list[Secret] = []
    tags: frozenset[str] = frozenset()
    few: Annotated[list[int], Meta(min_length=1, max_length=2)] = msgspec.field(default_factory=lambda: [1])
    pair: tuple[str, ...] = ()
    weights: dict[str, float] = {}
    inner: Inner = msgspec.field(default_factory=Inner)
    inners: list[Inner] = []
    either: int | str | None = None
    often: Literal["never"] | Annotated[int, Meta(le=60)] = "never"
    number: float | int = 0
    since: dt.date | None = None
    low: Annotated[int, Meta(le=5, multiple_of=5)] = 0
    code: Annotated[str, Meta(pattern="^[a-z]+$", max_length=3)] = "abc"
    header: HeaderName = "x-mine"
    anything: Any = None
    renamed: str = msgspec.field(default="", name="re-named")


def converted(environ: Mapping[str, str] | None = None, /, **values: object) -> Everything:
    converter = Converter(environ or {})
    made = converter.struct({"name": "n", **values}, Everything, "")
    assert made is not None, converter.found()
    assert converter.found() == []
    return made


def wrong(environ: Mapping[str, str] | None = None, /, **values: object) -> str:
    converter = Converter(environ or {})
    assert converter.struct({"name": "n", **values}, Everything, "t") is None
    return "\n".join(str(problem) for problem in converter.found())


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("count", 9, 9),
        ("share", 0.25, 0.25),
        ("mode", "fast", "fast"),
        ("keys", ["a", Secret("b")], [Secret("a"), Secret("b")]),
        ("tags", ["x", "y"], frozenset({"x", "y"})),
        ("few", [1, 2], [1, 2]),
        ("pair", ("a", "b"), ("a", "b")),
        ("weights", {"a": 1}, {"a": 1.0}),
        ("inner", {"size": 4, "word": "w"}, Inner(size=4, word=Secret("w"))),
        ("inner", Inner(size=2), Inner(size=2)),
        ("inners", [{"size": 2}], [Inner(size=2)]),
        ("either", 5, 5),
        ("either", "5", "5"),
        ("either", None, None),
        ("often", 7, 7),
        ("number", 7, 7),
        ("number", 7.5, 7.5),
        ("since", dt.date(2020, 1, 2), dt.date(2020, 1, 2)),
        ("anything", {"a": 1}, {"a": 1}),
    ],
)
def test_a_value_becomes_what_its_type_says(key: str, value: object, expected: object) -> None:
    made = getattr(converted(**{key: value}), key)
    assert made == expected
    assert type(made) is type(expected)


def test_a_key_is_spelt_as_on_the_wire() -> None:
    assert converted(**{"re-named": "x"}).renamed == "x"
    assert "t.renamed: no such setting" in wrong(renamed="x")


@pytest.mark.parametrize(
    ("key", "raw", "expected"),
    [
        ("name", "8080", "8080"),
        ("count", "8", 8),
        ("share", "0.75", 0.75),
        ("on", "true", True),
        ("mode", "fast", "fast"),
        ("keys", '["a"]', [Secret("a")]),
        ("either", "5", "5"),
        ("often", "5", 5),
        ("often", "never", "never"),
        ("since", "2020-01-02", dt.date(2020, 1, 2)),
        ("anything", "5", "5"),
    ],
)
def test_text_from_outside_is_parsed_unless_the_setting_takes_text(key: str, raw: str, expected: object) -> None:
    given = Text(raw, "the value of X")
    assert getattr(converted(**{key: given}), key) == expected
    assert getattr(converted({"X": raw}, **{key: {"env": "X"}}), key) == expected


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("count", 10, "t.count: 10 is not a whole number from 0 to 9; "),
        ("count", "5", "t.count: '5' is not a whole number from 0 to 9; "),
        ("count", True, "t.count: true is not a whole number"),
        ("share", 1.0, "t.share: 1.0 is not a number above 0 below 1"),
        ("on", 1, "t.on: 1 is not true or false"),
        ("name", 5, "t.name: 5 is not text"),
        ("mode", "saef", "t.mode: 'saef' is not one of 'fast', 'safe'"),
        ("keys", "hunter2", "t.keys: text is not a list of which each is text"),
        ("keys", ["ok", 5], "t.keys[1]: a whole number is not text"),
        ("keys", [""], "t.keys[0]: the secret is empty"),
        (
            "few",
            [],
            "t.few: a list is not a list of which each is a whole number with at least 1 elements with at most",
        ),
        ("few", ["a"], "t.few[0]: 'a' is not a whole number"),
        ("weights", {"a": "b"}, "t.weights.a: 'b' is not a number"),
        ("weights", 5, "t.weights: a whole number is not a table"),
        ("inner", 5, "t.inner: a whole number is not a table"),
        ("inner", {"size": 0}, "t.inner.size: 0 is not a whole number of at least 1"),
        ("inner", {"word": ["hunter2"]}, "t.inner.word: a list is not text"),
        ("inners", [{"siz": 1}], "t.inners[0].siz: no such setting"),
        ("either", 1.5, "t.either: 1.5 is not a whole number or text"),
        ("often", 61, "t.often: 61 is not one of 'never' or a whole number of at most 60"),
        ("since", "never", "t.since: 'never' is not date"),
        ("since", 2020, "t.since: 2020 is not date"),
        ("low", 4, "t.low: 4 is not a whole number of at most 5 that is a multiple of 5"),
        ("code", "A", "t.code: 'A' is not text that matches ^[a-z]+$ with at most 3 characters"),
        ("header", "x y", "t.header: 'x y' is not one word of letters, digits, `-` and `_`; "),
        ("name", dt.date(2020, 1, 2), "t.name: a date is not text"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_wanted(key: str, value: object, said: str) -> None:
    found = wrong(**{key: value})
    assert found.startswith(said)
    assert "hunter2" not in found


def test_every_problem_of_a_table_is_found_at_once() -> None:
    found = wrong(name=5, cuont=1, on="yes", inner={"size": "a", "wrod": "b"}, keys=[1, 2]).splitlines()
    assert [line.split(":")[0] for line in found] == [
        "t.cuont",
        "t.name",
        "t.on",
        "t.keys[0]",
        "t.keys[1]",
        "t.inner.wrod",
        "t.inner.size",
    ]
    assert "did you mean 'count'?" in found[0]
    assert "without quotes" in found[2]


def test_a_missing_setting_says_what_belongs_there() -> None:
    converter = Converter({})
    assert converter.struct({}, Everything, "t") is None
    assert str(converter.found()[0]).startswith("t.name: missing; ")
    assert "write name = text" in str(converter.found()[0])


def test_a_missing_setting_that_may_be_none_is_said_without_it() -> None:
    class Needy(Settings):
        word: Secret | None

    converter = Converter({})
    assert converter.struct({}, Needy, "t") is None
    assert converter.found()[0].remedy == "write word = text"


def test_a_long_value_is_not_repeated_whole() -> None:
    assert len(wrong(count="a" * 5000)) < 300


def test_what_a_variable_holds_is_not_shown() -> None:
    found = wrong({"X": "hunter2", "Y": "hunter3"}, count={"env": "X"}, mode={"env": "X"}, keys={"env": "Y"})
    assert "t.count: the value of X is not a whole number" in found
    assert "t.mode: the value of X is not one of 'fast', 'safe'" in found
    assert "t.keys: the value of Y is not a list" in found
    assert "hunter" not in found


@pytest.mark.parametrize("raw", ["1\nother = 2", "[" * 5000, "="])
def test_text_that_is_no_single_value_is_refused(raw: str) -> None:
    assert "the value of X is not a whole number" in wrong(count=Text(raw, "the value of X"))


@pytest.mark.parametrize("word", ["hunter2", "sesame"])
def test_a_rule_between_settings_is_a_problem_of_the_table_and_shows_no_secret(word: str) -> None:
    class Range(Settings):
        low: int
        high: int
        word: Secret

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError(f"low is above high, says {self.word.reveal()}")

    converter = Converter({})
    assert converter.struct({"low": 2, "high": 1, "word": word}, Range, "range") is None
    assert str(converter.found()[0]).startswith("range: low is above high, says ********; ")


class TestReferences:
    def test_a_variable_a_file_and_a_default_stand_for_the_value(self, tmp_path: Path) -> None:
        (tmp_path / "one").write_text("from a file\n\n")
        made = converted(
            {"X": "7"},
            name={"file": str(tmp_path / "one")},
            count={"env": "X", "default": 1},
            share={"env": "ABSENT", "default": 0.25},
            mode={"env": "ABSENT", "default": {"env": "ABSENT", "default": "fast"}},
        )
        assert (made.name, made.count, made.share, made.mode) == ("from a file\n", 7, 0.25, "fast")

    def test_an_optional_one_that_is_absent_is_as_if_not_written(self, tmp_path: Path) -> None:
        converter = Converter({"EMPTY": ""})
        absent = {"env": "EMPTY", "optional": True}
        missing = {"file": str(tmp_path / "none"), "optional": True}
        values = {"name": "n", "count": absent, "keys": ["a", absent, missing], "weights": {"a": absent, "b": 1.0}}
        made = converter.struct(values, Everything, "t")
        assert made is not None
        assert (made.count, made.keys, made.weights) == (3, [Secret("a")], {"b": 1.0})
        assert converter.unset == {
            "t.count": "EMPTY",
            "t.keys[1]": "EMPTY",
            "t.keys[2]": str(tmp_path / "none"),
            "t.weights.a": "EMPTY",
        }

    def test_a_required_setting_is_missing_when_its_optional_variable_is(self) -> None:
        assert "t.name: missing" in wrong(name={"env": "ABSENT", "optional": True})

    def test_only_one_line_break_ends_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "windows").write_bytes(b"word\r\n")
        assert converted(name={"file": str(tmp_path / "windows")}).name == "word"

    @pytest.mark.parametrize(
        ("reference", "said"),
        [
            ({"env": "ABSENT"}, "missing value: the variable ABSENT is not set"),
            ({"file": "absent"}, "missing value: the file absent is not there, or empty"),
            ({"env": "A", "file": "b"}, "a reference names a variable and a file"),
            ({"env": ""}, "`env` of a reference holds no name"),
            ({"file": 5}, "`file` of a reference holds no name"),
            ({"file": "a\0b"}, "`file` of a reference holds no name"),
            ({"env": "A", "optional": "yes"}, "`optional` of a reference is true or false"),
            ({"env": "A", "defualt": "x"}, "a reference has no 'defualt'"),
            ({"file": "."}, "the file . cannot be read: Is a directory"),
            ({"evn": "A"}, "a table is not text"),
        ],
        ids=str,
    )
    def test_a_bad_one_says_why(self, reference: dict[str, object], said: str) -> None:
        assert wrong(name=reference).startswith(f"t.name: {said}; ")

    def test_a_missing_secret_says_which_variable_to_set(self) -> None:
        found = wrong(keys=[{"env": "THE_KEY"}])
        assert found.startswith("t.keys[0]: missing secret: the variable THE_KEY is not set; ")
        assert "set THE_KEY in the environment" in found

    def test_a_file_that_is_no_text_is_not_shown(self, tmp_path: Path) -> None:
        (tmp_path / "bytes").write_bytes(b"\xffhunter2")
        found = wrong(name={"file": str(tmp_path / "bytes")})
        assert "is not UTF-8 text" in found
        assert "hunter2" not in found

    def test_a_table_of_settings_is_no_reference(self) -> None:
        assert converted(inner=Text("{ size = 3 }", "X")).inner == Inner(size=3)
        assert "t.inner.env: no such setting" in wrong({"X": "{ size = 3 }"}, inner={"env": "X"})
        assert converted(weights={"env": 1.0}).weights == {"env": 1.0}

    def test_a_variable_cannot_refer_to_another(self) -> None:
        assert "the value of A is not a whole number" in wrong({"A": '{ env = "A" }'}, count={"env": "A"})


def test_a_plugin_in_python_is_told_every_problem_under_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOW_MANY", "4")
    assert convert_or_raise({"name": "n", "count": {"env": "HOW_MANY"}}, Everything, "Mine").count == 4
    with pytest.raises(ConfigurationError) as caught:
        convert_or_raise({"naem": "n", "count": -1}, Everything, "Mine")
    assert [problem.key for problem in caught.value.problems] == ["Mine.naem", "Mine.name", "Mine.count"]


def test_what_is_right_in_a_table_can_be_salvaged() -> None:
    converter = Converter({})
    made = converter.salvage({"size": "a", "word": "w", "more": 1}, Inner, "t", size=7)
    assert made == Inner(size=7, word=Secret("w"))
    assert converter.salvage(5, Inner, "u", size=8) == Inner(size=8)
    assert converter.salvage({}, Inner, "v", size=9) == Inner()
    assert [problem.key for problem in converter.found()] == ["t.more", "t.size", "u"]


def test_the_outcome_of_a_problem_is_no_value() -> None:
    assert Converter({}).value("a", int, "k") is Outcome.FAILED


def test_a_type_with_no_word_of_its_own_is_called_by_its_name() -> None:
    converter = Converter({})
    converter.value("x", list[tuple[int, str]], "pairs")
    converter.value(5, tuple[int, str], "pair")
    assert [problem.what for problem in converter.found()] == [
        "text is not a list of which each is a list",
        "5 is not a list",
    ]
