"""Compiled templates are kept, and never a reason for a wrong page or none."""

import sys
from pathlib import Path

import pytest
from jinja2 import DictLoader, Environment

from wavemend.reports.compiled import FOLDER, CompiledTemplates

TEXT = "{{ host }} is {{ 1 + 1 }}"


class Counting(Environment):
    """Says how often something was compiled."""

    compiled = 0

    def _compile(self, source: str, filename: str) -> object:  # type: ignore[override]
        self.compiled += 1
        return super()._compile(source, filename)


def render(folder: Path, text: str = TEXT, settings: bytes = b"1") -> tuple[str, int]:
    """Render in an environment of its own, as a new process does; also how often it compiled."""
    environment = Counting(
        loader=DictLoader({"page": text}),
        optimized=False,
        bytecode_cache=CompiledTemplates(settings, folder),
    )
    return environment.get_template("page").render(host="web-1"), environment.compiled


@pytest.fixture(autouse=True)
def _writes_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


def test_what_was_compiled_once_is_not_compiled_again(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    assert render(folder) == ("web-1 is 2", 1)
    assert render(folder) == ("web-1 is 2", 0)
    assert len(list(folder.iterdir())) == 1


def test_another_text_or_other_settings_are_compiled(tmp_path: Path) -> None:
    render(tmp_path)
    assert render(tmp_path, text="{{ host }}!") == ("web-1!", 1)
    assert render(tmp_path, settings=b"2") == ("web-1 is 2", 1)


@pytest.mark.parametrize("damage", ["", "short", "foreign", "zeros", "one byte"])
def test_what_is_not_whole_is_compiled_anew(tmp_path: Path, damage: str) -> None:
    render(tmp_path)
    (file,) = tmp_path.iterdir()
    data = file.read_bytes()
    damaged = {
        "": b"",
        "short": data[:-9],
        "foreign": b"x" * len(data),
        "zeros": bytes(len(data)),
        "one byte": data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
    }
    file.write_bytes(damaged[damage])
    assert render(tmp_path) == ("web-1 is 2", 1)
    assert file.read_bytes() == data
    assert render(tmp_path) == ("web-1 is 2", 0)


def test_a_folder_that_takes_nothing_costs_time_and_no_page(tmp_path: Path) -> None:
    file = tmp_path / "no folder"
    file.write_text("")
    assert render(file / "kept") == ("web-1 is 2", 1)
    assert render(file) == ("web-1 is 2", 1)


def test_nothing_is_kept_where_python_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert render(tmp_path) == ("web-1 is 2", 1)
    assert list(tmp_path.iterdir()) == []


def test_they_are_kept_where_a_package_keeps_its_modules() -> None:
    assert FOLDER.name == "__pycache__"
    assert FOLDER.parent.name == "templates"
    assert (FOLDER.parent / "rollout.html.j2").is_file()
