"""Where configuration files are: at a path, or among the deployments that ship with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from agentops.core.problem import ConfigurationError, Problem, nearest

DEFAULT: Final = "dashboard"

_PACKAGE: Final = Path(__file__).parents[2]


def shipped() -> dict[str, Path]:
    """The deployments that ship, by name: a folder of the wheel, or the checkout's own of an editable install."""
    inside = _PACKAGE / "_config"
    folder = inside if inside.is_dir() else _PACKAGE.parents[1] / "config"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def locate(config: str | Path | None) -> Path:
    """Turn what `--config` says into a path; without it, the default deployment."""
    name = DEFAULT if config is None else config
    if isinstance(name, Path) or name.endswith(".toml") or "/" in name or "\\" in name:
        return Path(name)
    known = shipped()
    if name in known:
        return known[name]
    if Path(name).exists():
        return Path(name)
    raise ConfigurationError(
        [
            Problem(
                "",
                f"no deployment is called {name!r}, and no file",
                f"those that ship are {', '.join(known)}",
                nearest(name, known),
                "--config",
            )
        ]
    )
