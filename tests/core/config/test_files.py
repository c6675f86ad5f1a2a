from __future__ import annotations

from pathlib import Path

import pytest

from agentops.core.config import files
from agentops.core.config.files import locate, shipped
from agentops.core.problem import ConfigurationError


def test_the_default_is_the_dashboard() -> None:
    assert locate(None) == locate("dashboard") == shipped()["dashboard"]
    assert shipped()["dashboard"].read_text().startswith("#")


def test_a_wheel_holds_what_ships_in_a_folder_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "_config").mkdir()
    (tmp_path / "_config" / "other.toml").write_text("")
    monkeypatch.setattr(files, "_PACKAGE", tmp_path)
    assert shipped() == {"other": tmp_path / "_config" / "other.toml"}


@pytest.mark.parametrize("config", ["a.toml", "folder/a", "./dashboard", "folder\\a", Path("dashboard")], ids=str)
def test_a_path_is_taken_as_one(config: str | Path) -> None:
    assert locate(config) == Path(config)


def test_a_file_without_a_suffix_is_found() -> None:
    Path("mine").write_text("")
    assert locate("mine") == Path("mine")


def test_an_unknown_name_lists_what_ships_and_the_nearest() -> None:
    with pytest.raises(
        ConfigurationError, match=r"--config: no deployment is called 'dashbord'.*'dashboard'\?"
    ) as told:
        locate("dashbord")
    assert all(name in str(told.value) for name in shipped())
