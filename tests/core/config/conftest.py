from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from agentops.core.config.load import load
from agentops.core.problem import ConfigurationError

PLUGINS = Path(__file__).parent / "plugins"

Find = Callable[..., list[str]]
Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(PLUGINS))


@pytest.fixture
def written(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "my.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def mistakes(written: Write) -> Find:
    """Every line that is said about a file; none at all is a failure."""

    def find(text: str, environ: Mapping[str, str] | None = None, sets: Sequence[str] = ()) -> list[str]:
        with pytest.raises(ConfigurationError) as caught:
            load(written(text), environ=environ or {}, sets=sets)
        return str(caught.value).splitlines()

    return find
