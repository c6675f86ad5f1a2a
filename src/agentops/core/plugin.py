"""What every plugin is, whatever its kind. Read this page, then the one of your kind in `core/ports`.

A plugin is a class with a settings `Struct`, an async context manager for its life, and the methods of its kind:

    class GateSettings(Settings):
        header: str = "x-badge"

    class Gate(Authenticator[GateSettings]):
        async def authenticate(self, caller: Caller) -> Identity | None: ...

The life of a plugin:

1. Found by its entry point (`agentops.auth`, `agentops.storage`, ...) or by `use = "package.module:Class"`.
   Only what a configuration names is imported.
2. Configured: its table becomes its settings, strictly; every mistake is reported, not only the first.
3. Made. `__init__` keeps the settings and does no work: no file, no connection, no task.
4. Checked: `check()` says what can be known to be wrong without starting or changing anything.
5. Started in ladder order: `life()` is entered with the rungs below, and with nothing above.
6. Serving.
7. Stopped in reverse: `life()` is left, also when a later plugin failed to start.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Literal, Self, get_args, get_origin

import msgspec
from typing_extensions import TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentops.core.problem import Problem
    from agentops.core.rungs import Rungs

Kind = Literal["telemetry", "storage", "bus", "limiter", "retry", "model", "auth", "feature"]

LADDER: Final[tuple[Kind, ...]] = get_args(Kind)
"""Start order. A plugin may use the rungs below its own through their ports, and never another plugin."""


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The base of every plugin's settings; what the configuration file may say, with defaults and types."""


class NoSettings(Settings):
    """For a plugin that needs none."""


S = TypeVar("S", bound=Settings, default=Settings, covariant=True)  # noqa: PLC0105 - every port bears it


class Plugin(Generic[S]):
    """The base of the eight kinds; subclass the kind, not this."""

    kind: ClassVar[Kind]
    settings_type: ClassVar[type[Settings]] = NoSettings

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        for base in cls.__dict__.get("__orig_bases__", ()):
            argument = next(iter(get_args(base)), None)
            if get_origin(base) is not None and isinstance(argument, type) and issubclass(argument, Settings):
                cls.settings_type = argument

    def __init__(self, settings: S | None = None, /, **values: Any) -> None:
        """Take ready settings, or the same keys a configuration file would hold."""
        self.settings: S = settings if settings is not None else self._settings_from(values)

    def __deepcopy__(self, _memo: object) -> Self:
        """One object, always: Litestar copies handlers, and a bound method would take a copy of its plugin along."""
        return self

    @classmethod
    def _settings_from(cls, values: dict[str, Any]) -> Any:
        from agentops.core.config.convert import convert_or_raise

        return convert_or_raise(values, cls.settings_type, cls.__name__)

    def check(self) -> Iterable[Problem]:
        """Say what is wrong that can be seen offline; must not start, create or change anything."""
        return ()

    def life(self, rungs: Rungs) -> AbstractAsyncContextManager[object]:
        """Acquire on entry, release on exit; mostly an `@asynccontextmanager` method."""
        return nullcontext()
