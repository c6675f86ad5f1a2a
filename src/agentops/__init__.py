"""agentops: a server kit for operating AI agents. Names are imported when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from agentops._version import __version__

if TYPE_CHECKING:
    from agentops.core.allowance import Allowance
    from agentops.core.config.settings import EventSettings, ServerSettings
    from agentops.core.errors import Forbidden, Refusal, Rejected, StartError, Unavailable
    from agentops.core.identity import Identity
    from agentops.core.kit import Kit
    from agentops.core.lanes import Lane
    from agentops.core.plugin import NoSettings, Plugin, Settings
    from agentops.core.ports.auth import Authenticator, Caller
    from agentops.core.ports.bus import Bus
    from agentops.core.ports.feature import Feature
    from agentops.core.ports.limiter import Limiter
    from agentops.core.ports.model import Model, ModelFault, ModelLost, Order, Piece, Usage, Whole
    from agentops.core.ports.retry import Retry
    from agentops.core.ports.storage import Storage
    from agentops.core.ports.telemetry import Telemetry
    from agentops.core.problem import ConfigurationError, Problem
    from agentops.core.rungs import Rungs
    from agentops.core.secret import Secret

_HOMES = {
    "Allowance": "core.allowance",
    "Authenticator": "core.ports.auth",
    "Bus": "core.ports.bus",
    "Caller": "core.ports.auth",
    "ConfigurationError": "core.problem",
    "EventSettings": "core.config.settings",
    "Feature": "core.ports.feature",
    "Forbidden": "core.errors",
    "Identity": "core.identity",
    "Kit": "core.kit",
    "Lane": "core.lanes",
    "Limiter": "core.ports.limiter",
    "Model": "core.ports.model",
    "ModelFault": "core.ports.model",
    "ModelLost": "core.ports.model",
    "NoSettings": "core.plugin",
    "Order": "core.ports.model",
    "Piece": "core.ports.model",
    "Plugin": "core.plugin",
    "Problem": "core.problem",
    "Refusal": "core.errors",
    "Rejected": "core.errors",
    "Retry": "core.ports.retry",
    "Rungs": "core.rungs",
    "Secret": "core.secret",
    "ServerSettings": "core.config.settings",
    "Settings": "core.plugin",
    "StartError": "core.errors",
    "Storage": "core.ports.storage",
    "Telemetry": "core.ports.telemetry",
    "Unavailable": "core.errors",
    "Usage": "core.ports.model",
    "Whole": "core.ports.model",
}

__all__ = [
    "Allowance",
    "Authenticator",
    "Bus",
    "Caller",
    "ConfigurationError",
    "EventSettings",
    "Feature",
    "Forbidden",
    "Identity",
    "Kit",
    "Lane",
    "Limiter",
    "Model",
    "ModelFault",
    "ModelLost",
    "NoSettings",
    "Order",
    "Piece",
    "Plugin",
    "Problem",
    "Refusal",
    "Rejected",
    "Retry",
    "Rungs",
    "Secret",
    "ServerSettings",
    "Settings",
    "StartError",
    "Storage",
    "Telemetry",
    "Unavailable",
    "Usage",
    "Whole",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'agentops' has no attribute {name!r}")
    return getattr(import_module(f"agentops.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
