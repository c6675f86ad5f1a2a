"""What a configuration may say about calls of models."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta, field

from agentops.core.allowance import AMOUNT_MOST, Amount, ModelNames
from agentops.core.config.settings import NotNegative, Positive, Seconds
from agentops.core.plugin import Settings
from agentops.core.secret import Secret

Content = Literal["off", "on", "redacted"]
Money = Annotated[int, Meta(ge=0, le=AMOUNT_MOST, description="a whole number of micro-dollars")]
MoneyForTokens = Annotated[int, Meta(ge=0, le=10**12, description="micro-dollars for a million tokens")]
"""At most a dollar a token: what all the tokens there are come to is still a number that a database holds."""


class TargetSettings(Settings):
    """`targets = [{ provider = "openrouter", model = "openai/gpt-4o" }]`: who is asked, and under what name."""

    provider: str
    """One of `[models]`."""
    model: str = ""
    """What the provider calls it; as it is called here unless it is said."""
    weight: NotNegative = 0
    """Targets with a weight share the calls in that proportion; the others are asked when those before them fail."""


class ModelSettings(Settings):
    """`[features.gateway.models.<name>]`: a model as applications name it."""

    targets: Annotated[list[TargetSettings], Meta(min_length=1)]
    most_output_tokens: Positive = 4_096
    """What a call is taken to write at most that does not bound it."""


class PriceSettings(Settings):
    """`[[features.gateway.prices]]`: what a model costs from a day on, in micro-dollars for a million tokens."""

    provider: str
    model: str
    """What the provider calls it."""
    input: MoneyForTokens
    output: MoneyForTokens
    since: date = date(1970, 1, 1)
    cached: MoneyForTokens | None = None
    """Of what the provider had in its cache; like `input` unless it is said."""
    written: MoneyForTokens | None = None
    """Of what it puts into its cache; like `input` unless it is said."""


class ProjectSettings(Settings):
    """`[features.gateway.projects.<name>]`: what all of a project may spend, and what of its calls is kept."""

    budget_day: Money | None = None
    budget_month: Money | None = None
    content: Content | None = None


class EachKeySettings(Settings):
    """`[features.gateway.each_key]`: limits of every caller whose key has none of its own."""

    models: ModelNames = ()
    requests_per_minute: Amount | None = None
    tokens_per_minute: Amount | None = None
    parallel: Amount | None = None
    budget_day: Money | None = None
    budget_month: Money | None = None
    cost_per_call: Money | None = None


class CreditSettings(Settings):
    """`[features.gateway.credits]`: with this table every user needs credits, which `agentops credits grant` gives."""

    starting: Money = 0
    """What a user has at first."""
    tier: str = "standard"
    """Of a user who was given no other."""


class CacheSettings(Settings):
    """`[features.gateway.cache]`: identical requests at temperature 0 get the answer that one of them got."""

    most_bytes: Positive = 64 * 1024 * 1024
    seconds: Seconds = 3600.0


class GatewaySettings(Settings):
    """`[features.gateway]`: which models there are, who answers for them, and what calls may cost."""

    models: dict[str, ModelSettings] = {}
    prices: list[PriceSettings] = []
    projects: dict[str, ProjectSettings] = {}
    each_key: EachKeySettings = field(default_factory=EachKeySettings)
    credits: CreditSettings | None = None
    cache: CacheSettings | None = None
    record: bool = True
    """Whether calls are events of runs."""
    content: Content = "off"
    """Whether these hold what was asked and answered; `redacted`, without what looks personal or secret."""
    ring: list[Secret] = []
    """Keys of 32 bytes, in base64 or hex, that seal users' own keys for providers: the first seals, all open."""
    hold_seconds: Annotated[float, Meta(ge=3)] = 30.0
    """How long what was held for a call stays held when its process has died."""
    wait_seconds: Annotated[float, Meta(ge=0)] = 30.0
    """How long a call waits for those under way to settle, if there may be room for it then."""
    call_seconds: Seconds = 600.0
    """How long a call may take, all tries and the whole stream."""
    bytes_in_flight: Positive = 256 * 1024 * 1024
    """How much of requests is held at once; beyond it the answer is 503."""
    keep_days: NotNegative = 90
    """For how long each single call is listed; 0 keeps all. Usage by day, and the ledger, stay."""
