"""What ASGI has no word for, asked of uvicorn itself; with any other server both are done without."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentops.core.http.asgi import Send


def abort(server_send: Send) -> bool:
    """Drop the connection, if there is a way: to close it would wait for the reader that does not read."""
    transport = getattr(getattr(server_send, "__self__", None), "transport", None)
    if transport is None:
        return False
    transport.abort()
    return True


def direct_writer(server_send: Send) -> Callable[[bytes], bool] | None:
    """A function that writes a piece of a started body at once, and answers whether it could.

    Waking a task for each of two thousand streams costs twice what the write does.
    """
    cycle = getattr(server_send, "__self__", None)
    flow, transport = getattr(cycle, "flow", None), getattr(cycle, "transport", None)
    if cycle is None or flow is None or transport is None or not getattr(cycle, "chunked_encoding", False):
        return None

    def write(chunk: bytes) -> bool:
        if flow.write_paused or cycle.disconnected or cycle.response_complete:
            return False
        transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        return True

    return write
