"""One GET of a document, bounded in time and size. It blocks: call it in a thread."""

from __future__ import annotations

import time
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from typing import IO, TYPE_CHECKING, Final
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from typing_extensions import override

from agentops._version import __version__

if TYPE_CHECKING:
    from http.client import HTTPMessage

MOST_BYTES: Final = 256 * 1024
MOST_SECONDS: Final = 10.0

_CHUNK: Final = 64 * 1024


class NotFetched(Exception):
    """The document could not be had; the text says why, without quoting it."""


def fetch(url: str) -> bytes:
    """Return what is at the address itself: no redirect is followed, for the address is what is trusted."""
    deadline = time.monotonic() + MOST_SECONDS
    asked = Request(url, headers={"Accept": "application/json", "User-Agent": f"agentops/{__version__}"})  # noqa: S310 - the settings were checked for the scheme
    try:
        with _opener(url).open(asked, timeout=MOST_SECONDS) as answer:
            if answer.status == HTTPStatus.OK:
                return _read(answer, deadline)
            reason = f"it answered {answer.status}"
    except HTTPError as error:
        error.close()
        reason = f"it answered {error.code}"
    except URLError as error:
        reason = type(error.reason).__name__
    except (OSError, HTTPException) as error:
        reason = type(error).__name__
    raise NotFetched(reason)


def _read(answer: HTTPResponse, deadline: float) -> bytes:
    read = b""
    while chunk := answer.read1(_CHUNK):
        read += chunk
        if len(read) > MOST_BYTES:
            raise NotFetched(f"it is longer than {MOST_BYTES} bytes")
        if time.monotonic() > deadline:
            raise NotFetched(f"it took longer than {MOST_SECONDS} seconds")
    return read


def _opener(url: str) -> OpenerDirector:
    """The environment's proxies count, but not for this machine itself: its plain http must not leave it."""
    proxies = [] if url.startswith("https:") else [ProxyHandler({})]
    return build_opener(_NoRedirects, *proxies)


class _NoRedirects(HTTPRedirectHandler):
    @override
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Leave the redirect as what it is: not the document."""
