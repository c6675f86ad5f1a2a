"""Everything that can be refused: raised once with a code, rendered by each lane in its own style."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping


class AgentopsError(Exception):
    """The root of every error this package raises on purpose; its text is written for the person who reads it."""


class StartError(AgentopsError):
    """The server cannot start, or a command cannot go on; the text says why and what to do."""


class Refusal(AgentopsError):
    """A request that is answered with an error: status, code and a sentence that holds nothing secret."""

    status: int = 500
    code: str = "internal_error"
    title: str = "Internal error"

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        hint: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        self.hint = hint
        self.param = param
        self.headers = dict(headers or {})


class BadRequest(Refusal):
    status, code, title = 400, "bad_request", "Bad request"


class Unauthorized(Refusal):
    status, code, title = 401, "unauthorized", "Authentication required"


class Forbidden(Refusal):
    status, code, title = 403, "forbidden", "Not allowed"


class NotFound(Refusal):
    status, code, title = 404, "not_found", "Not found"


class MethodNotAllowed(Refusal):
    status, code, title = 405, "method_not_allowed", "Method not allowed"


class Conflict(Refusal):
    status, code, title = 409, "conflict", "Conflict"


class TooLarge(Refusal):
    status, code, title = 413, "payload_too_large", "Payload too large"


class UnsupportedMediaType(Refusal):
    status, code, title = 415, "unsupported_media_type", "Unsupported media type"


class TooManyRequests(Refusal):
    status, code, title = 429, "too_many_requests", "Too many requests"


class InternalError(Refusal):
    status, code, title = 500, "internal_error", "Internal error"


class Unavailable(Refusal):
    """Nothing was done, and the same request may succeed later.

    Only with the code `outcome_unknown` it may have been done: the connection to the database broke in a commit.
    """

    status, code, title = 503, "unavailable", "Temporarily unavailable"

    def __init__(self, message: str = "", *, code: str | None = None, retry_after: int = 1) -> None:
        super().__init__(message, code=code, headers={"Retry-After": str(retry_after)})


class Rejected(Unauthorized):
    """An authenticator's verdict: this credential is mine to judge, and it is no good.

    Say nothing about why: unknown, expired and revoked must look the same from outside.
    """

    def __init__(self, message: str = "", *, status: Literal[401, 403] = 401) -> None:
        super().__init__(message)
        if status == Forbidden.status:
            self.status, self.code, self.title = Forbidden.status, Forbidden.code, Forbidden.title
