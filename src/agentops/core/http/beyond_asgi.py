"""What ASGI has no word for, asked of uvicorn itself; with any other server each is done without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentops.core.http.asgi import Send

_LAST: Final = {"type": "http.response.body", "body": b"", "more_body": False}


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


async def finish(server_send: Send) -> None:
    """End the answer, and return once nothing of it is left in this process, if there is a way to tell.

    A little that is left blocks no write, so nobody would notice that it is never read. A server that stops closes
    such a connection once it is empty, and waits for that without end.
    """
    cycle = getattr(server_send, "__self__", None)
    flow, transport = getattr(cycle, "flow", None), getattr(cycle, "transport", None)
    if flow is None or transport is None or transport.is_closing():
        await server_send(_LAST)
        return
    transport.set_write_buffer_limits(high=0)
    await server_send(_LAST)
    await flow.drain()
    if not transport.is_closing():
        transport.set_write_buffer_limits()
