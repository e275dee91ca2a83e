"""Compiled templates are kept, and never a reason for a wrong page or none."""

import errno
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jinja2 import DictLoader, Environment, pass_eval_context

from wavemend.reports.compiled import FOLDER, CompiledTemplates
from wavemend.reports.rollout_html import _environment
from wavemend.reports.text import local_times

TEXT = "{{ host }} is {{ 1 + 1 }}"


class Counting(Environment):
    """Says how often something was compiled."""

    compiled = 0

    def _compile(self, source: str, filename: str) -> object:  # type: ignore[override]
        self.compiled += 1
        return super()._compile(source, filename)


def render(folder: Path, text: str = TEXT, **settings: Any) -> tuple[str, int]:
    """Render in an environment of its own, as a new process does; also how often it compiled."""
    environment = Counting(
        loader=DictLoader({"page": text}),
        optimized=False,
        bytecode_cache=CompiledTemplates(folder),
        **settings,
    )
    environment.filters["marked"] = settings.get("finalize", str)
    return environment.get_template("page").render(host="web-1"), environment.compiled


@pytest.fixture(autouse=True)
def _writes_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


def test_what_was_compiled_once_is_not_compiled_again(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    assert render(folder) == ("web-1 is 2", 1)
    assert render(folder) == ("web-1 is 2", 0)
    assert len(list(folder.iterdir())) == 1


def test_another_text_is_compiled(tmp_path: Path) -> None:
    render(tmp_path)
    assert render(tmp_path, text="{{ host }}!") == ("web-1!", 1)


@pass_eval_context
def _wants_more(_: object, value: object) -> str:
    return str(value)


@pytest.mark.parametrize(
    ("settings", "page"),
    [
        ({"autoescape": True}, "\n&lt;&#39;web-1&#39;"),
        ({"trim_blocks": True}, "<'web-1'"),
        ({"finalize": _wants_more}, "\n<'web-1'"),
    ],
)
def test_other_settings_are_compiled_anew(
    tmp_path: Path, settings: dict[str, Any], page: str
) -> None:
    """Also in a process that is older than the files it reads: an upgrade came in between."""
    text = "{% if host %}\n{{ '<' ~ host|pprint }}{% endif %}"
    assert render(tmp_path, text) == ("\n<'web-1'", 1)
    assert render(tmp_path, text, **settings) == (page, 1)
    assert render(tmp_path, text, **settings) == (page, 0)
    assert render(tmp_path, text) == ("\n<'web-1'", 0)


def test_another_kind_of_filter_is_compiled_anew(tmp_path: Path) -> None:
    text = "{{ host|marked }}"
    assert render(tmp_path, text) == ("web-1", 1)
    assert render(tmp_path, text, finalize=_wants_more) == ("web-1", 1)


def test_nothing_of_ours_is_computed_into_what_is_kept() -> None:
    """A filter that changes would go on as it was, in constants that a template prints."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    environment = _environment(local_times("UTC", now, now))
    made = environment.compile("{{ 'a\u202eb' }}{{ 1234|number }}", raw=True)
    assert "1234" in made
    assert "1,234" not in made
    assert "a\\u202eb" in made


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


def test_a_full_disk_costs_no_page_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    assert render(tmp_path) == ("web-1 is 2", 1)
    assert list(tmp_path.iterdir()) == []


def test_what_is_kept_is_open_to_no_other_writer(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        render(tmp_path / "kept")
    finally:
        os.umask(before)
    (file,) = (tmp_path / "kept").iterdir()
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o755
    assert file.stat().st_mode & 0o777 == 0o644


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
