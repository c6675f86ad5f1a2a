"""Where a delivery may not go, however it is written."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from agentops.core.addresses import plain_network
from agentops.plugins.features.webhooks.targets import NotAllowed, find, place_of

if TYPE_CHECKING:
    from collections.abc import Callable

INWARD = [
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://0/",
    "https://localhost/",
    "https://169.254.169.254/latest/meta-data",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://192.0.0.192/",
    "https://100.64.0.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[fe80::1]/",
    "https://[fec0::1]/",
    "https://[fd00::1]/",
    "https://[ff02::1]/",
]
PUBLIC = ["https://93.184.216.34/", "https://[2606:2800:220:1::1]/", "https://[64:ff9b::5db8:d822]/"]


@pytest.mark.parametrize("url", INWARD)
async def test_what_is_not_public_is_refused(url: str) -> None:
    with pytest.raises(NotAllowed, match="not at a public address"):
        await find(place_of(url), [])


@pytest.mark.parametrize("url", PUBLIC)
async def test_what_is_public_is_not(url: str) -> None:
    place = (await find(place_of(url), [])).place
    assert (place.port, place.tls, place.path) == (443, True, "/")


async def test_plain_http_is_for_allowed_networks() -> None:
    with pytest.raises(NotAllowed, match="use https://"):
        await find(place_of("http://93.184.216.34/"), [])
    allowed = [plain_network("127.0.0.0/8")]
    assert (await find(place_of("http://127.0.0.1:8080/a?b=c"), allowed)).place.port == 8080
    with pytest.raises(NotAllowed):
        await find(place_of("http://[::1]/"), allowed)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "example.com",
        "https://",
        "https:///path",
        "https://user:password@example.com/",
        "https://user@example.com/",
        "https://exa mple.com/",
        "https://example.com/\r\nX-Injected: 1",
        "https://example.com:99999/",
        "https://[::1",
        "https://exämple.com/",
        f"https://example.com/{'a' * 2000}",
        "",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(NotAllowed):
        place_of(url)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], None]:
    """Let a name lead to these addresses; no name server here does as it is told."""

    def lead_to(addresses: list[str]) -> None:
        def getaddrinfo(_host: str, port: int, *_: Any, **__: Any) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return lead_to


async def test_one_inward_address_among_many_is_enough(names: Callable[[list[str]], None]) -> None:
    names(["93.184.216.34", "10.0.0.1"])
    with pytest.raises(NotAllowed, match="not at a public address"):
        await find(place_of("https://example.com/"), [])


async def test_what_was_checked_is_what_is_called(names: Callable[[list[str]], None]) -> None:
    """A name that leads elsewhere a moment later cannot: the address is kept, and the name is only told."""
    names(["93.184.216.34"])
    target = await find(place_of("https://example.com:8443/hook?x=1"), [])
    names(["127.0.0.1"])
    assert target == ("93.184.216.34", (True, "example.com", 8443, "example.com:8443", "/hook?x=1"))


async def test_names_that_hang_hold_up_no_other_and_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who ask a name server that is silent are many, and wait for long; the loop has few threads."""
    answer = threading.Event()
    look_up = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *options: Any, **more: Any) -> Any:
        if host.endswith(".slow.invalid"):
            answer.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return look_up(host, port, *options, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    hanging = [asyncio.create_task(find(place_of(f"https://{name}.slow.invalid/"), [])) for name in range(50)]
    await asyncio.sleep(0)
    threads = [thread for thread in threading.enumerate() if thread.name == "agentops resolver"]
    assert len(threads) == 50
    with pytest.raises(NotAllowed, match="not at a public address"):
        await find(place_of("https://localhost/"), [])
    assert all(thread.daemon for thread in threads)
    answer.set()
    for refused in await asyncio.gather(*hanging, return_exceptions=True):
        assert str(refused) == "its host cannot be found"


@pytest.mark.parametrize("host", ["a..b", ".example.com", f"{'a' * 64}.com"])
async def test_a_host_that_can_be_no_name(host: str) -> None:
    with pytest.raises(NotAllowed, match="cannot be found"):
        await find(place_of(f"https://{host}/"), [])


async def test_a_host_that_is_nowhere() -> None:
    with pytest.raises(NotAllowed, match="cannot be found"):
        await find(place_of("https://nowhere.invalid/"), [])
