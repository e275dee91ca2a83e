"""The documents say what is true: generated pages are fresh, links lead on, commands exist."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import cyclopts
import pytest

from tools.generate_docs import pages
from wavemend import errors
from wavemend.cli.app import app
from wavemend.errors import WavemendError
from wavemend.ledger import care_tables, judgement_tables, tables
from wavemend.outcomes import Outcome, PackageOutcome

ROOT = Path(__file__).resolve().parents[2]
OURS = ("docs", "examples", "tests", ".")
DOCUMENTS = sorted(
    {
        path
        for folder in OURS
        for path in (ROOT / folder).glob("*.md" if folder == "." else "**/*.md")
        if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    }
)
GENERATED = pages()
EXAMPLES = [path for path in DOCUMENTS if path not in GENERATED]
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:wavemend|make|python -m) [^`]+)`")
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")


def named(path: Path) -> str:
    """Name a document in a test's id."""
    return str(path.relative_to(ROOT))


def without_code(text: str) -> str:
    """Return a document's prose; a `](` in an example is no link."""
    return FENCE.sub("", text)


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as the usual renderers make them."""
    headings = re.findall(r"^#+ (.+)$", without_code(path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text).strip().lower().replace(" ", "-") for text in headings}


def commands(text: str) -> Iterator[str]:
    """Yield every command line of the shell examples, continued lines joined."""
    for language, body in FENCE.findall(text):
        if language in {"sh", "console"}:
            for line in body.replace("\\\n", " ").splitlines():
                words = line.strip().removeprefix("$ ")
                if words.startswith(("wavemend ", "make ", "python -m ")):
                    yield words


def words_of(line: str) -> list[str]:
    """Split a command line as a shell would, up to a pipe or a redirection."""
    words = shlex.split(line, comments=True)
    ends = [place for place, word in enumerate(words) if word in {"|", ">", "<", "&&", ";"}]
    return words[: ends[0]] if ends else words


def make_targets() -> set[str]:
    """Return what `make` can be asked for."""
    text = (ROOT / "Makefile").read_text().replace("$(STAMP):", ".venv/.installed:")
    return set(re.findall(r"^([\w./-]+):", text, re.MULTILINE))


def refusal(words: list[str], *, whole: bool) -> str:
    """Say why a command line would not be understood; `whole`: with all it needs."""
    match words:
        case ["wavemend", *rest]:
            if not whole:
                path, _, unused = app.parse_commands(rest)
                known = path or not rest or rest[0].startswith("-")
                return "" if known and "-" not in unused else f"no such command: {rest}"
            try:
                app.parse_args(rest, exit_on_error=False, print_error=False)
            except cyclopts.CycloptsError as error:
                return str(error)
            return ""
        case ["make", *rest]:
            asked = {word for word in rest if "=" not in word}
            return f"no such target: {asked - make_targets()}" if asked - make_targets() else ""
        case ["python", "-m", module, *_]:
            return "" if importlib.util.find_spec(module) else f"no such module: {module}"
        case _:
            return f"not a command of ours: {words}"


@pytest.mark.parametrize("path", sorted(GENERATED), ids=named)
def test_a_generated_page_is_what_the_script_makes(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == GENERATED[path], "run `make docs`"


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in LINK.findall(without_code(document.read_text())):
        target, _, anchor = link.partition("#")
        place = (document.parent / target).resolve() if target else document
        assert place.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in anchors(place), f"{link}: no such heading"


@pytest.mark.parametrize("document", EXAMPLES, ids=named)
def test_every_command_of_an_example_is_understood(document: Path) -> None:
    for line in commands(document.read_text()):
        assert not refusal(words_of(line), whole=True), line


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_command_named_in_a_sentence_exists(document: Path) -> None:
    for line in INLINE.findall(without_code(document.read_text())):
        assert not refusal(words_of(line.replace("…", "")), whole=False), line


@pytest.mark.parametrize(
    "words",
    [
        ["wavemend", "rollout", "strat", "acme"],
        ["wavemend", "approve", "ROLLOUT"],
        ["wavemend", "feeds", "refresh", "--offline"],
        ["make", "demonstration"],
        ["python", "-m", "wavemend.nothing"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_would_be_noticed(words: list[str]) -> None:
    assert refusal(words, whole=True)


def test_a_wrong_command_in_a_sentence_would_be_noticed() -> None:
    assert refusal(["wavemend", "restart"], whole=False)


def test_the_readme_names_every_exit_code() -> None:
    numbers = {
        error.exit_code
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, WavemendError)
    } - {WavemendError.exit_code}
    told = {int(number) for number in re.findall(r"^\| (\d+) \|", readme(), re.MULTILINE)}

    assert numbers <= told


def test_the_ledger_page_names_every_table_and_outcome() -> None:
    page = (ROOT / "docs" / "reference" / "ledger.md").read_text()
    modules = (care_tables, judgement_tables, tables)
    found = [value for module in modules for value in vars(module).values()]
    kept = [value for value in found if hasattr(value, "__table__")]
    names = [*(table.__tablename__ for table in kept), *Outcome, *PackageOutcome]

    assert kept

    assert [name for name in names if f"`{name}`" not in page] == []


def readme() -> str:
    """Return the first page a reader sees."""
    return (ROOT / "README.md").read_text()
