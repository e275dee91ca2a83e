"""No secret of a run ends up in a database, a log, a report or an artifact."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world.world import World

pytestmark = pytest.mark.live


def shapes(secret: str) -> set[bytes]:
    """Return the forms in which a secret could have been written somewhere."""
    raw = secret.encode()
    return {raw, base64.b64encode(raw), repr(secret).encode().strip(b"'")}


def written(home: Path, keys: set[Path]) -> Iterator[Path]:
    """Yield every file of the installation but the keys themselves and the hosts' disks."""
    lab = home / "lab"
    for path in sorted(home.rglob("*")):
        if path.is_file() and path not in keys and lab not in path.parents:
            yield path


def content(path: Path) -> bytes:
    """Return what a file holds; the worker's own temporary ones may be gone by now."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def test_no_private_key_is_found_in_anything_that_was_written(world: World) -> None:
    world.begin("mixed")
    world.wait_finished("mixed")
    keys = {world.home / "lab" / "id_ed25519", world.key("alice"), world.key("mallory")}
    needles = {
        form
        for key in keys
        for line in key.read_text().splitlines()
        if not line.startswith("-----") and len(line) > 40
        for form in shapes(line)
    }
    files = list(written(world.home, keys))

    assert {"ledger.db", "prefect.db", "worker.log"} <= {path.name for path in files}
    assert any(path.suffix == ".html" for path in files)
    found = [str(p) for p in files if any(needle in content(p) for needle in needles)]
    assert found == []
