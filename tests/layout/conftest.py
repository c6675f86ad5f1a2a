"""The reference as the site shows it."""

from __future__ import annotations

import pytest

from _reference import configuration


@pytest.fixture(scope="session")
def configuration_page() -> str:
    return configuration.page()
