"""What stands below a plugin when it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentops.core.draining import Draining
from agentops.core.errors import StartError
from agentops.core.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentops.core.eventlog import EventLog
    from agentops.core.health import HealthChecks
    from agentops.core.ports.auth import Authenticator
    from agentops.core.ports.bus import Bus
    from agentops.core.ports.limiter import Limiter
    from agentops.core.ports.model import Model
    from agentops.core.ports.retry import Retry
    from agentops.core.ports.storage import Storage
    from agentops.core.ports.telemetry import Telemetry
    from agentops.core.vouched import Vouched


class NotBelow(StartError):
    """A plugin reached for something that is not below it on the ladder, or that the configuration does not name."""

    def __init__(self, part: str) -> None:
        super().__init__(f"{part!r} is not below this plugin: see LADDER in agentops.core.plugin for what is, and when")


class Rungs:
    """The started parts. Each plugin is handed those below its own rung, and asking for another says so."""

    signals: Signals
    draining: Draining
    """When the server begins to stop."""
    storage: Storage
    bus: Bus
    limiter: Limiter
    retry: Retry
    events: EventLog
    models: Mapping[str, Model]
    """The providers of models, by name."""
    auth: Mapping[str, Authenticator]
    """For features: the authenticators of the deployment, those that could not start left out."""
    permissions: Mapping[str, str]
    """For features: every permission there is, with what it allows."""
    health: HealthChecks
    """For features: how the parts are."""
    telemetry: Mapping[str, Telemetry]
    """For features: the sinks, some of which can be asked for what they hold."""
    vouched: Vouched
    """For features that change credentials: whose streams are open, and are to be asked about again."""

    def __init__(self, **parts: object) -> None:
        """Signals and the end are below everything; without any, nobody listens, and there is none."""
        self.__dict__.update({"signals": Signals(), "draining": Draining(), **parts})

    def __getattr__(self, part: str) -> object:
        raise NotBelow(part)

    def has(self, part: str) -> bool:
        """Whether this optional part is below: a limiter, a retry."""
        return part in self.__dict__

    def with_part(self, name: str, part: object) -> Rungs:
        return Rungs(**self.__dict__, **{name: part})
