"""The routes of webhooks: who is subscribed, what was delivered, and what is to be delivered again."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath

from agentops.accounts.web import origin_of
from agentops.core.addresses import plain_network
from agentops.core.errors import BadRequest
from agentops.core.http.answers import json_answer
from agentops.core.http.bodies import decode_json, read_json
from agentops.core.http.paging import is_number, limit_of, next_page, number_of, query_of
from agentops.core.ports.diagnosis import Question
from agentops.core.ports.feature import Feature
from agentops.core.problem import Problem
from agentops.core.records import now_ms
from agentops.plugins.features.webhooks import messages, openapi
from agentops.plugins.features.webhooks.diagnosis import undelivered
from agentops.plugins.features.webhooks.outbox import STATES, Outbox
from agentops.plugins.features.webhooks.sending import Sender
from agentops.plugins.features.webhooks.settings import WebhooksSettings
from agentops.plugins.features.webhooks.subscriptions import Subscriptions
from agentops.plugins.features.webhooks.targets import NotAllowed
from agentops.plugins.features.webhooks.work import at_work, this_process

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from agentops.core.ports.diagnosis import Reads
    from agentops.core.rungs import Rungs
    from agentops.plugins.features.webhooks.outbox import State

DEFAULT_LIMIT: Final = 100
MOST: Final = 1000

AnyRequest = Request[Any, Any, Any]


class Webhooks(Feature[WebhooksSettings]):
    """`serve = ["webhooks"]`: what happens is sent to whoever subscribed, until it arrives or a day has passed."""

    may_be_open: ClassVar = False
    permissions: ClassVar = {"webhooks:manage": "subscribe addresses to what happens, and see what was sent there"}

    _subscriptions: Subscriptions
    _outbox: Outbox
    _sender: Sender

    def check(self) -> Iterable[Problem]:
        for index, network in enumerate(self.settings.allow):
            try:
                plain_network(network)
            except ValueError:
                yield Problem(
                    f"allow[{index}]",
                    f"{network!r} is no network",
                    "nothing could be compared with it",
                    "write it as 10.1.0.0/16, or one address as 10.1.0.7",
                )

    def questions(self, storage: Reads) -> Iterable[Question]:
        yield Question("deliveries", partial(undelivered, storage))

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        self._subscriptions = Subscriptions(rungs.storage)
        self._outbox = Outbox(rungs.storage, f"{this_process()}:{secrets.token_hex(4)}")
        self._sender = Sender([plain_network(network) for network in self.settings.allow], rungs.signals)
        async with at_work(rungs, self.settings, self._subscriptions, self._outbox, self._sender):
            yield

    def routes(self) -> Sequence[object]:
        needs, one = {"permission": "webhooks:manage"}, "/webhooks/{webhook_id:str}"
        return [
            post("/webhooks", opt=needs, **openapi.CREATE)(self.create),
            get("/webhooks", opt=needs, **openapi.LIST)(self.list),
            get(one, opt=needs, **openapi.GET)(self.get),
            patch(one, opt=needs, **openapi.CHANGE)(self.change),
            delete(one, opt=needs, **openapi.REMOVE)(self.remove),
            post(f"{one}/secret", opt=needs, **openapi.ROTATE)(self.rotate),
            post(f"{one}/test", opt=needs, status_code=200, **openapi.TEST)(self.test),
            get(f"{one}/deliveries", opt=needs, **openapi.DELIVERIES)(self.list_deliveries),
            post(f"{one}/deliveries/{{delivery_id:str}}/again", opt=needs, status_code=204, **openapi.AGAIN)(
                self.deliver_again
            ),
        ]

    async def create(self, request: AnyRequest) -> Response[bytes]:
        asked = decode_json(messages.wanted_decoder, await read_json(request))
        await self._check_url(asked.url)
        webhook = await self._subscriptions.create(
            origin_of(request), asked.url, asked.events, asked.format, asked.description
        )
        return json_answer(messages.made(webhook), 201)

    async def list(self, request: AnyRequest) -> Response[bytes]:
        return json_answer(messages.listed(await self._subscriptions.of_project(request.user.project)))

    async def get(self, request: AnyRequest, webhook_id: FromPath[str]) -> Response[bytes]:
        return json_answer(messages.shown(await self._subscriptions.one(request.user.project, webhook_id)))

    async def change(self, request: AnyRequest, webhook_id: FromPath[str]) -> Response[bytes]:
        changed = messages.fields(decode_json(messages.changed_decoder, await read_json(request)))
        if "url" in changed:
            await self._check_url(changed["url"])
        webhook = await self._subscriptions.change(origin_of(request), webhook_id, changed)
        return json_answer(messages.shown(webhook))

    async def remove(self, request: AnyRequest, webhook_id: FromPath[str]) -> None:
        await self._subscriptions.remove(origin_of(request), webhook_id)

    async def rotate(self, request: AnyRequest, webhook_id: FromPath[str]) -> Response[bytes]:
        asked = decode_json(messages.rotation_decoder, await read_json(request) or b"{}")
        webhook = await self._subscriptions.rotate(origin_of(request), webhook_id, asked.grace_seconds)
        return json_answer(messages.rotated(webhook), 201)

    async def test(self, request: AnyRequest, webhook_id: FromPath[str]) -> Response[bytes]:
        webhook = await self._subscriptions.one(request.user.project, webhook_id)
        now = now_ms()
        data = msgspec.json.encode({"webhook": webhook.id, "description": webhook.description}).decode()
        attempt = await self._sender.send(webhook, f"msg_test_{secrets.token_hex(8)}", "test", now, data)
        await self._outbox.keep_test(webhook, data, attempt)
        return json_answer(messages.Tested(attempt.is_delivered, attempt))

    async def list_deliveries(self, request: AnyRequest, webhook_id: FromPath[str]) -> Response[bytes]:
        asked = query_of(request)
        limit = limit_of(asked, DEFAULT_LIMIT, MOST)
        before = number_of(asked, "before", "the id of a delivery", "invalid_cursor")
        state = _state(asked)
        webhook = await self._subscriptions.one(request.user.project, webhook_id)
        found = await self._outbox.page(webhook, limit + 1, before, state)
        headers = next_page(request, before=str(found[limit - 1].id)) if len(found) > limit else {}
        return json_answer([messages.delivered(delivery) for delivery in found[:limit]], headers=headers)

    async def deliver_again(self, request: AnyRequest, webhook_id: FromPath[str], delivery_id: FromPath[str]) -> None:
        webhook = await self._subscriptions.one(request.user.project, webhook_id)
        await self._outbox.again(webhook, int(delivery_id) if is_number(delivery_id) else 0)

    async def _check_url(self, url: str) -> None:
        try:
            await self._sender.check(url)
        except NotAllowed as error:
            raise BadRequest(f"this URL cannot be called: {error}", code="url_not_allowed", param="url") from None


def _state(asked: dict[str, str]) -> State | None:
    text = asked.get("state")
    if not text:
        return None
    for state in STATES:
        if text == state:
            return state
    raise BadRequest(f"a state is one of {', '.join(STATES)}", code="invalid_state", param="state")
