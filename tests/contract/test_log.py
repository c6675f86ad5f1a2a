"""The log keeps the contract of telemetry, for people and for machines."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import pytest

from agentops.core.rungs import Rungs
from agentops.core.signals import Signals
from agentops.plugins.telemetry.log import Log, LogSettings
from agentops.testing.telemetry import TelemetryContract
from tests.core.parts import Kept

if TYPE_CHECKING:
    from collections.abc import Callable


class TestLogAsJson(TelemetryContract):
    @pytest.fixture
    def make_telemetry(self) -> Callable[[], Log]:
        return lambda: Log(LogSettings(level="debug", format="json"))


class TestLogForPeople(TelemetryContract):
    @pytest.fixture
    def make_telemetry(self) -> Callable[[], Log]:
        return lambda: Log(LogSettings(level="debug", format="pretty"))


def lines_of(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in capfd.readouterr().err.splitlines()]


def test_an_event_is_one_line_of_json(capfd: pytest.CaptureFixture[str]) -> None:
    Log(LogSettings(format="json")).event("a\nb", "warning", {"text": "c\r\nd", "number": 3})
    (line,) = lines_of(capfd)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "a\nb", "level": "warning", "text": "c\r\nd", "number": 3}


def test_what_is_no_unicode_is_one_line_of_json_like_any_other(capfd: pytest.CaptureFixture[str]) -> None:
    Log(LogSettings(format="json")).event("odd", "info", {"name": "\ud800", "number": 3, "path": Path("/a")})
    (line,) = (json.loads(line) for line in capfd.readouterr().err.splitlines())
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "odd", "level": "info", "name": "\ud800", "number": 3, "path": repr(Path("/a"))}


def test_a_field_does_not_replace_what_the_log_says_itself(capfd: pytest.CaptureFixture[str]) -> None:
    Log(LogSettings(format="json")).event("stored", "info", {"event": 1, "level": 2, "timestamp": 3, "exception": 4})
    (line,) = lines_of(capfd)
    assert (line["event"], line["level"]) == ("stored", "info")
    assert [line[f"{name}_"] for name in ("event", "level", "timestamp", "exception")] == [1, 2, 3, 4]


def test_an_error_is_told_with_where_it_was_raised_and_not_with_what_it_quotes(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ValueError, match="invalid literal") as raised:
        int("luck")
    Log(LogSettings(format="json")).event("failed", "error", {"error": raised.value})
    (line,) = lines_of(capfd)
    assert "ValueError" in line["exception"]
    assert "test_log.py" in line["exception"]
    assert "invalid literal" not in line["exception"]


def test_at_debug_an_error_is_told_in_its_own_words(capfd: pytest.CaptureFixture[str]) -> None:
    Log(LogSettings(level="debug", format="json")).event("failed", "error", {"error": ValueError("quoted")})
    (line,) = lines_of(capfd)
    assert line["exception"].strip() == "ValueError: quoted"


def test_what_is_below_its_level_is_not_written(capfd: pytest.CaptureFixture[str]) -> None:
    log = Log(LogSettings(level="warning", format="json"))
    for level in ("debug", "info", "warning", "error"):
        log.event(level, level, {})
    assert [line["event"] for line in lines_of(capfd)] == ["warning", "error"]


def test_what_was_sent_gives_no_orders_to_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    Log(LogSettings(format="pretty")).event(
        "odd", "info", {"subject": "a\x1b[2J", "path": "/b\nc\u2028\x85d", "run": "zażółć"}
    )
    (line,) = capfd.readouterr().err.splitlines()
    assert "\x1b[2J" not in line
    for shown in ("a\\x1b[2J", "/b\\nc\\u2028\\x85d", "zażółć"):
        assert shown in line


@pytest.mark.parametrize("written", ["auto", "json", "pretty"])
def test_a_process_without_standard_error_has_no_log(
    monkeypatch: pytest.MonkeyPatch, written: Literal["auto", "json", "pretty"]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", None)
        Log(LogSettings(format=written)).event("told", "error", {})


async def test_a_reader_that_takes_nothing_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    read, stuck = os.fdopen(reading, "rb", buffering=0), os.fdopen(writing, "w")
    monkeypatch.setattr(sys, "stderr", stuck)
    log, signals, kept = Log(format="json"), Signals(), Kept()
    monkeypatch.undo()
    too_late = threading.Timer(5, read.close)
    too_late.start()
    text = b""
    with signals.told_to(log), signals.told_to(kept):
        async with log.life(Rungs(signals=signals)):
            for number in range(3_000):
                signals.event("told", "info", number=number, text="x" * 1_000)
                await asyncio.sleep(0)
            assert kept.only("log.failing")[1]["meaning"] == "lines are lost"
            while not kept.named("log.works_again"):
                text += await asyncio.to_thread(read.read, 65_536)
        stuck.close()
        text += read.read()
    too_late.cancel()
    read.close()
    lines = [msgspec.json.decode(line) for line in text.splitlines()]
    numbers = [line["number"] for line in lines if line["event"] == "told"]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) + int(str(kept.only("log.works_again")[1]["lines_lost"])) >= 3_000
    assert "log.works_again" in {line["event"] for line in lines}
