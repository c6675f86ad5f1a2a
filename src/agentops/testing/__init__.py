"""For authors of plugins and of deployments: a contract suite for each kind, and real servers to test against."""

from __future__ import annotations

import pytest

_SUITES = ("auth", "bus", "feature", "model", "retry", "telemetry")

pytest.register_assert_rewrite(*(f"{__name__}.{suite}" for suite in _SUITES))
