"""What a credential may ask of models: which, how often, and at what cost."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

AMOUNT_MOST: Final = 10**15
"""A thousand million dollars, in micro-dollars: sums of such amounts are still numbers that a database holds."""
MODELS_MOST: Final = 100
MODEL_LONGEST: Final = 200

Amount = Annotated[int, msgspec.Meta(ge=1, le=AMOUNT_MOST)]
MicroDollars = Annotated[int, msgspec.Meta(ge=0, le=AMOUNT_MOST, description="micro-dollars: 1000000 is a dollar")]
ModelName = Annotated[str, msgspec.Meta(min_length=1, max_length=MODEL_LONGEST)]
ModelNames = Annotated[tuple[ModelName, ...], msgspec.Meta(max_length=MODELS_MOST)]


class Allowance(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a credential may ask of models; what is not said is not limited. Without `models` it may ask all of them."""

    models: ModelNames = ()
    requests_per_minute: Amount | None = None
    tokens_per_minute: Amount | None = None
    parallel: Amount | None = None
    budget_day: MicroDollars | None = None
    budget_month: MicroDollars | None = None
    cost_per_call: MicroDollars | None = None
    counts_as: str | None = None
    """The credential in whose name it is counted, if that is another: the key that this one took the place of.

    Else each rotation of a key would give it its budget of the day once more.
    """


UNLIMITED: Final = Allowance()

_decoder: Final = msgspec.json.Decoder(Allowance)
_encoder: Final = msgspec.json.Encoder()


def allowance_text(allowance: Allowance | None) -> str:
    """As a text for a column; of what limits nothing, `{}`."""
    return _encoder.encode(allowance or UNLIMITED).decode()


def allowance_of(text: str) -> Allowance | None:
    """What `allowance_text` wrote, and `None` if nothing is limited.

    A limit that is unknown here, since a later version wrote it, is an error: passed over, it would limit nothing.
    """
    allowance = _decoder.decode(text)
    return None if allowance == UNLIMITED else allowance
