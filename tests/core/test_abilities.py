"""What only some plugins can do is asked of them, and not known of their kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentops.core.ports.backup import Backup
from agentops.core.ports.credential import DescribesCredential
from agentops.plugins.auth.static_key import StaticKey
from tests.core.parts import Badge, Kept, storage_in

if TYPE_CHECKING:
    from pathlib import Path


def test_a_storage_that_copies_itself_says_so(tmp_path: Path) -> None:
    assert isinstance(storage_in(tmp_path), Backup)
    assert not isinstance(Kept(), Backup)


def test_an_authenticator_that_tells_what_it_wants_to_see_says_so() -> None:
    assert isinstance(StaticKey(), DescribesCredential)
    assert not isinstance(Badge(), DescribesCredential)
