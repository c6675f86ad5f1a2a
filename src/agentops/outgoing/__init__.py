"""Calls to providers of models over HTTP: strict, bounded, and dear to nobody. Shared by the plugins that need it."""

from __future__ import annotations

from agentops.outgoing.events import Event, Events
from agentops.outgoing.exchange import Exchange
from agentops.outgoing.model import HttpModel
from agentops.outgoing.objects import as_object, as_objects, json_object, one_line
from agentops.outgoing.refusals import error_in, fault, is_refusal, refusal
from agentops.outgoing.settings import ProviderSettings, wrong_settings
from agentops.outgoing.streaming import Reading, pieces_of
from agentops.outgoing.upstream import Call, Upstream

__all__ = [
    "Call",
    "Event",
    "Events",
    "Exchange",
    "HttpModel",
    "ProviderSettings",
    "Reading",
    "Upstream",
    "as_object",
    "as_objects",
    "error_in",
    "fault",
    "is_refusal",
    "json_object",
    "one_line",
    "pieces_of",
    "refusal",
    "wrong_settings",
]
