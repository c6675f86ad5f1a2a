"""Does what a page says, block by block, in an empty folder, as its reader would."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self

import pytest

from agentops.core.config.load import load
from agentops.core.problem import ConfigurationError
from tests.docs.blocks import Block, Command, commands_of, pattern_of

if TYPE_CHECKING:
    from types import TracebackType

WRITTEN_PORT: Final = "8787"
PATIENCE_SECONDS: Final = 30

SERVERS: Final = ("agentops serve", "make run", "uvicorn ")
WATCHERS: Final = ("curl -N", "agentops tail")


class Mismatch(AssertionError):
    """The page says one thing, and another happened."""


class Process:
    """Something that goes on in the background, and what it has printed so far."""

    def __init__(self, command: str, folder: Path, environ: dict[str, str], log: IO[bytes]) -> None:
        self.command = command
        self._log = Path(log.name)
        self._running = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=folder, env=environ, stdout=log, stderr=subprocess.STDOUT
        )

    @property
    def printed(self) -> str:
        return self._log.read_text("utf-8")

    @property
    def ended(self) -> bool:
        return self._running.poll() is not None

    def wait_for_output(self, expected: str) -> None:
        pattern = pattern_of(expected)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while pattern.search(self.printed) is None:
            if time.monotonic() > deadline:
                raise Mismatch(f"{self.command} was to print\n{expected}\nand has printed\n{self.printed}")
            time.sleep(0.02)  # a file cannot be awaited

    def wait_for_port(self, port: int) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            if self.ended or time.monotonic() > deadline:
                raise Mismatch(f"{self.command} does not listen; it has printed\n{self.printed}")
            time.sleep(0.02)  # nor can a port that is not open yet

    def stop(self) -> None:
        self._running.terminate()
        try:
            self._running.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.wait()
            raise Mismatch(f"{self.command} did not stop when it was told to") from None


class Reader:
    """Follows one page from top to bottom; at the end, stops what the page has started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = _free_port()
        self._server: Process | None = None
        self._watchers: list[Process] = []
        self._files = 0
        (folder / ".curlrc").write_text("silent\nshow-error\n")
        tools = Path(sys.executable).parent
        self._environ = {"HOME": str(folder), "PATH": f"{tools}:{os.environ['PATH']}", "LANG": "C.UTF-8"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in [*self._watchers, *([self._server] if self._server else [])]:
            process.stop()

    def follow(self, block: Block) -> None:
        self._environ |= dict([block.said["env"].split("=", 1)] if "env" in block.said else [])
        match block.language:
            case "python":
                self._run_python(self._save(block, ".py"))
            case "toml":
                self._check_configuration(self._save(block, ".toml"), block.said.get("wrong"))
            case "console" | "sh":
                for command in commands_of(block):
                    self._run(command)
            case "text" if "shown" in block.said:
                self._watchers[-1].wait_for_output(block.text.strip())
            case _:
                raise Mismatch(f"line {block.line}: nobody knows how to run {block.language!r}")

    def _save(self, block: Block, suffix: str) -> Path:
        path = self._folder / block.said.get("file", f"line_{block.line}{suffix}")
        path.write_text(block.text, "utf-8")
        return path

    def _run_python(self, path: Path) -> None:
        module = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if path.name.startswith("test_") else ["-W", "error"]
        self._succeed(shlex.join([sys.executable, *module, path.name]), PYTHONPATH=".")

    def _check_configuration(self, path: Path, wrong: str | None) -> None:
        found = self._problems_in(path.name)
        if wrong is None and found:
            raise Mismatch(f"this configuration is wrong:\n{found}")
        unsaid = [word for word in (wrong or "").split(", ") if word not in found]
        if unsaid:
            raise Mismatch(f"{unsaid} were to be found, and found was\n{found or 'nothing'}")

    def _problems_in(self, configuration: str) -> str:
        """Ask in this process, which is quicker than `agentops check`, and asks the same."""
        before = set(sys.modules)
        with pytest.MonkeyPatch.context() as here:
            here.chdir(self._folder)
            here.syspath_prepend(str(self._folder))
            try:
                load(configuration, environ=self._environ)
            except ConfigurationError as error:
                return str(error)
            finally:
                for name in set(sys.modules) - before:
                    if str(self._folder) in str(getattr(sys.modules[name], "__file__", "")):
                        del sys.modules[name]
        return ""

    def _run(self, command: Command) -> None:
        text = command.text.replace(f":{WRITTEN_PORT}", f":{self._port}").replace("make run", "agentops serve")
        if text.startswith("export "):
            self._export(text)
        elif text.startswith(SERVERS):
            self._serve(text.replace(f" --port {WRITTEN_PORT}", "") + f" --port {self._port}", command.output)
        elif text.startswith(WATCHERS):
            watcher = self._start(text)
            self._watchers.append(watcher)
            watcher.wait_for_output(command.output.replace(f":{WRITTEN_PORT}", f":{self._port}"))
        else:
            printed = self._succeed(text).strip()
            if pattern_of(command.output).fullmatch(printed) is None:
                raise Mismatch(f"line {command.line}: {text}\nwas to print\n{command.output}\nand printed\n{printed}")

    def _export(self, command: str) -> None:
        """What a command prints may be a value too, if it is the only one; what it tells beside that is not."""
        if "$(" not in command:
            self._environ |= dict(word.split("=", 1) for word in shlex.split(command)[1:])
            return
        name, _, value = command.removeprefix("export ").partition("=")
        shown = f'printf %s "${name}"'
        self._environ[name] = self._succeed(f"{{ {name}={value}; }} 2> .told || {{ cat .told; exit 1; }}; {shown}")

    def _serve(self, command: str, output: str) -> None:
        if self._server is not None:
            self._server.stop()
        self._server = self._start(command)
        self._server.wait_for_port(self._port)
        self._server.wait_for_output(output.replace(f":{WRITTEN_PORT}", f":{self._port}"))

    def _start(self, command: str) -> Process:
        self._files += 1
        with (self._folder / f".printed-{self._files}").open("wb") as log:
            return Process(command, self._folder, self._environ, log)

    def _succeed(self, command: str, **more: str) -> str:
        done = self._bash(command, **more)
        if done.returncode != 0:
            raise Mismatch(f"{command}\nended with {done.returncode} and printed\n{done.stdout}")
        return done.stdout

    def _bash(self, command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._environ | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=2 * PATIENCE_SECONDS,
            check=False,
        )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port
