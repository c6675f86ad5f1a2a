"""The fixture keeps the contract of models, with and without files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentops.plugins.models.fixture import Fixture
from agentops.testing.model import ModelContract

if TYPE_CHECKING:
    from pathlib import Path


class TestEcho(ModelContract):
    @pytest.fixture
    def model(self) -> Fixture:
        return Fixture()


class TestFixture(ModelContract):
    @pytest.fixture
    def model(self, tmp_path: Path) -> Fixture:
        (tmp_path / "turtles.json").write_text(
            '{"contains": "turtle", "text": "Tu\\u017ce \\n turtle.", "reasoning": "Hm."}'
        )
        return Fixture(path=str(tmp_path))
