from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agentops.core.discovery import find, known, where_raised
from agentops.core.problem import ConfigurationError

Package = Callable[..., None]


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """Install a distribution with one auth plugin, `gate-<module>`, whose module holds this source."""

    def install(module: str, source: str, extras: str = "") -> None:
        folder = tmp_path / "site"
        info = folder / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"{module}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: kit-of-{module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[agentops.auth]\ngate-{module} = {module}:Gate {extras}\n")
        monkeypatch.syspath_prepend(str(folder))

    return install


def refusal(use: str, kind: str = "auth") -> str:
    with pytest.raises(ConfigurationError) as caught:
        find(kind, use, "auth.gate.use")  # type: ignore[arg-type]
    (problem,) = caught.value.problems
    assert problem.key == "auth.gate.use"
    return f"{problem.what}; {problem.why}; {problem.remedy}"


def test_the_built_in_plugins_are_found_like_any_other() -> None:
    assert "sqlite" in known("storage")
    assert find("bus", "memory").kind == "bus"


def test_a_packaged_plugin_is_found_by_its_name_and_others_are_not_imported(packaged: Package) -> None:
    packaged("wanted", "from sample_plugins import Gate\n")
    packaged("unwanted", "raise AssertionError\n")
    assert {"gate-wanted", "gate-unwanted"} <= set(known("auth"))
    assert "wanted" not in sys.modules
    assert find("auth", "gate-wanted").__name__ == "Gate"
    assert "unwanted" not in sys.modules


def test_one_that_is_not_packaged_is_found_by_module_and_class() -> None:
    assert find("auth", "sample_plugins:Gate").__name__ == "Gate"


def test_an_unknown_name_gives_the_nearest_and_the_list() -> None:
    assert re.fullmatch(
        r"no storage plugin is called 'sqlit'; installed are: .*sqlite.*; did you mean 'sqlite'\?",
        refusal("sqlit", "storage"),
    )
    assert refusal("zzz", "limiter").endswith("name one of them, or 'module:Class' for one that is not packaged")


def test_a_missing_extra_says_what_to_install(packaged: Package) -> None:
    packaged("needy", "import not_there.at_all\n", "[sockets,wires]")
    assert refusal("gate-needy") == (
        "gate-needy needs 'not_there', which is not installed; needy imports it; "
        "pip install 'kit-of-needy[sockets,wires]'"
    )


def test_a_missing_package_of_no_extra_is_named(packaged: Package) -> None:
    packaged("lonely", "import not_there\n")
    assert refusal("gate-lonely").endswith("install the package that brings 'not_there'")


def test_a_class_whose_module_is_not_there_says_where_to_put_it() -> None:
    assert refusal("no_such.module:Gate") == (
        "no module is called 'no_such'; no_such.module would hold the plugin; "
        "install its package, or put its folder on PYTHONPATH"
    )


def test_an_import_that_names_nothing_is_told(packaged: Package) -> None:
    packaged("renamed", "from sample_plugins import Gaet\n")
    assert refusal("gate-renamed").startswith(
        "renamed does not import: cannot import name 'Gaet' from 'sample_plugins'"
    )
    assert refusal("gate-renamed").endswith("mend that import")


def test_a_module_that_fails_is_told_with_the_place(packaged: Package) -> None:
    packaged("failing", "\n\n1 / 0\n")
    assert refusal("gate-failing") == (
        "failing does not import: ZeroDivisionError: division by zero; the plugin cannot be made; "
        "mend that module: ZeroDivisionError at failing.py:3"
    )


def test_a_class_that_is_not_there_gives_the_nearest() -> None:
    assert (
        refusal("sample_plugins:Gaet") == "sample_plugins has no 'Gaet'; there is nothing to make; did you mean 'Gate'?"
    )


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ("sample_plugins:Plain", "sample_plugins:Plain is not an auth plugin"),
        ("sample_plugins:Rootless", "sample_plugins:Rootless is not an auth plugin"),
        ("sample_plugins:TYPE_CHECKING", "sample_plugins:TYPE_CHECKING is not an auth plugin"),
        ("sample_plugins:Shop", "sample_plugins:Shop is a feature plugin, not an auth plugin"),
        ("sample_plugins:Unfinished", "sample_plugins:Unfinished has no authenticate(); "),
    ],
)
def test_a_class_that_is_no_such_plugin_is_refused(use: str, said: str) -> None:
    assert refusal(use).startswith(said)


def test_a_plugin_of_auth_is_not_a_bus() -> None:
    assert refusal("sample_plugins:Gate", "bus").startswith("sample_plugins:Gate is an auth plugin, not a bus plugin")


def test_an_error_is_told_without_its_words() -> None:
    assert where_raised(ValueError("hunter2")) == "ValueError"
