"""The files of an Ansible inventory: one file or a folder, with `group_vars` and `host_vars`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from wavemend.inventory.sources.ansible_ini import read_ini
from wavemend.inventory.sources.ansible_values import Inventory, Said
from wavemend.inventory.sources.ansible_yaml import read_variables, read_yaml
from wavemend.inventory.sources.found import Fault, text_of

_NOT_INVENTORIES = (
    ".cfg", ".ini", ".retry", ".pyc", ".pyo", "~", ".orig", ".bak", ".rst", ".md", ".txt",
)  # fmt: skip
"""What Ansible leaves aside in a folder of inventories."""

_YAML_HEAD = re.compile(r"---|\{|[\w.-]+:\s*(?:#.*)?")
_VAULT = "$ANSIBLE_VAULT"
_MOST_FILES = 10_000
_SUFFIXES = {".yml": 1, ".yaml": 2, ".json": 3}


class Files:
    """Reads what belongs to an inventory, and names each file as people know it."""

    def __init__(self, path: Path, shown: str) -> None:
        self.path, self.shown = path, shown
        self.faults: list[Fault] = []
        self.unread: list[Fault] = []
        """Files that were left aside, and why."""
        self._by_name: dict[str, Mapping[str, Sequence[Path]]] = {}

    def inventories(self) -> Iterator[Inventory]:
        """Yield each file's part of the inventory."""
        if not self.path.is_dir():
            yield self._inventory(self.path, self.shown)
            return
        for path in sorted(self.path.iterdir()):
            if path.is_file() and not path.name.startswith("."):
                shown = f"{self.shown.rstrip('/')}/{path.name}"
                if path.name.endswith(_NOT_INVENTORIES):
                    self.unread.append(Fault(shown, "is not read: no inventory by its name"))
                else:
                    yield self._inventory(path, shown)

    def _inventory(self, path: Path, shown: str) -> Inventory:
        text = text_of(path, shown)
        if isinstance(text, Fault):
            return Inventory(faults=[text])
        if text.startswith("#!"):
            what = "is a program, and nothing is executed; "
            return Inventory(faults=[Fault(shown, what + _EXPORT)])
        head = next((line for line in text.splitlines() if line.strip()[:1] not in {"", "#"}), "")
        if not _YAML_HEAD.fullmatch(head.rstrip()) and not head.startswith("plugin:"):
            return read_ini(text, shown)
        if re.search(r"^plugin:", text, re.MULTILINE):
            what = "is filled by a plugin, and nothing is executed; "
            return Inventory(faults=[Fault(shown, what + _EXPORT)])
        return read_yaml(path, shown)

    def variables(self, kind: str, name: str) -> dict[str, Said]:
        """Return what `group_vars` or `host_vars` say about one name; later files win."""
        folder, shown = self.path, Path(self.shown)
        if not folder.is_dir():
            folder, shown = folder.parent, shown.parent
        if kind not in self._by_name:
            self._by_name[kind] = _files_by_name(folder / kind)
        found: dict[str, Said] = {}
        for path in self._by_name[kind].get(name, ()):
            found |= self._variables(path, str(shown / path.relative_to(folder)))
        return found

    def _variables(self, path: Path, shown: str) -> dict[str, Said]:
        text = text_of(path, shown)
        if isinstance(text, Fault):
            self.faults.append(text)
            return {}
        if text.startswith(_VAULT):
            self.unread.append(Fault(shown, "is not read: encrypted with Ansible Vault"))
            return {}
        if all(
            line.strip()[:1] in {"", "#"} or line.strip() == "---" for line in text.splitlines()
        ):
            return {}
        said, faults = read_variables(path, shown)
        self.faults += faults
        return said


def _files_by_name(folder: Path) -> Mapping[str, Sequence[Path]]:
    """Return the files of a folder by the name they speak of, in the order Ansible reads them."""
    found: dict[str, list[Path]] = {}
    try:
        paths = sorted(folder.iterdir(), key=lambda path: (_SUFFIXES.get(path.suffix, 0), path))
    except OSError:  # there is none
        return found
    for path in paths:
        name = path.stem if path.suffix in _SUFFIXES else path.name
        if path.name.startswith("."):
            continue
        if path.is_dir():
            inside = sorted(path.rglob("*"))[:_MOST_FILES]
            found.setdefault(name, []).extend(
                at for at in inside if at.is_file() and not at.name.startswith(".")
            )
        elif path.is_file():
            found.setdefault(name, []).append(path)
    return found


_EXPORT = "name a file written by `ansible-inventory --list --yaml --export`"
