"""The databases that these tests put their servers on."""

from __future__ import annotations

from random import Random, SystemRandom
from typing import TYPE_CHECKING

import pytest

from tests.durability.apps import Database

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def sqlite(tmp_path: Path) -> Database:
    return Database("sqlite", str(tmp_path / "agentops.sqlite"))


@pytest.fixture
def postgres(postgres_url: str) -> Database:
    return Database("postgres", postgres_url)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Database:
    made: Database = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def chance() -> Random:
    """Another course of events each time; what it was is shown with a failure."""
    seed = SystemRandom().getrandbits(32)
    print(f"random seed: {seed}")  # noqa: T201 - pytest shows it only when the test fails
    return Random(seed)
