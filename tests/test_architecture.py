"""The structure is what ARCHITECTURE.md says: checked, so that it stays true."""

import ast
import importlib.util
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOWS = sorted(path for path in (ROOT / "flows").glob("*.py") if path.stem != "__init__")
CORE = sorted((ROOT / "src" / "wavemend").rglob("*.py"))
SOURCES = [
    path
    for folder in ("src", "flows", "tasks", "blocks", "deployments")
    for path in sorted((ROOT / folder).rglob("*.py"))
]


def named(path: Path) -> str:
    """Name a file in a test's id."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FLOWS, ids=named)
def test_a_flow_file_shadows_no_module(path: Path) -> None:
    """Prefect loads flows/x.py as top-level module `x` and puts flows/ first on sys.path."""
    assert "_" in path.stem
    assert importlib.util.find_spec(path.stem) is None


@pytest.mark.parametrize("path", FLOWS, ids=named)
def test_a_flow_file_holds_no_classes(path: Path) -> None:
    """The module exists twice, as `flows.x` and as `x`: a class in it would be two classes."""
    assert not [node for node in ast.walk(_tree(path)) if isinstance(node, ast.ClassDef)]


def test_loading_the_whole_core_and_the_command_loads_no_prefect() -> None:
    modules = [
        ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
        for path in CORE
        if "migrations" not in path.parts and "guest" not in path.parts
    ]
    code = (
        "import importlib, sys\n"
        f"for name in {[m for m in modules if not m.endswith('__main__')]!r}:\n"
        "    importlib.import_module(name)\n"
        "bad = sorted(m for m in sys.modules if m.split('.')[0] in {'prefect', 'prefect_shell'})\n"
        "sys.exit(', '.join(bad[:5]) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONPATH": "src", "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_wheel_holds_only_wavemend_with_its_scripts_and_data(tmp_path: Path) -> None:
    """Top-level packages named flows or tasks from two wheels overwrite each other silently."""
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
            *("--no-build-isolation", "--disable-pip-version-check", "-w", str(tmp_path)),
            str(_copy_of_the_package(tmp_path / "source")),
        ],
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"wavemend"}
    data = {
        named(path).removeprefix("src/")
        for path in (ROOT / "src" / "wavemend").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert data == {name for name in names if ".dist-info/" not in name}


def _copy_of_the_package(folder: Path) -> Path:
    """Build from a copy: setuptools leaves its scratch folders beside the sources."""
    import shutil

    folder.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", folder / "src", ignore=ignored)
    return folder


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_no_source_weakens_trust(path: Path) -> None:
    """Unknown host keys and unverifiable certificates are refused; nothing is unpickled."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.keyword) and node.arg == "verify":
            assert not (isinstance(node.value, ast.Constant) and node.value.value is False)
        if isinstance(node, ast.Attribute | ast.Name):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            assert name not in {"AutoAddPolicy", "WarningPolicy", "unsafe_load"}
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            imported = {alias.name.split(".")[0] for alias in node.names} | {module.split(".")[0]}
            assert not imported & {"pickle", "marshal", "shelve"}


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_no_command_goes_through_a_shell_of_ours(path: Path) -> None:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.keyword) and node.arg == "shell":
            assert isinstance(node.value, ast.Constant)
            assert node.value.value is False


def test_the_wall_clock_is_read_in_few_named_places() -> None:
    """Time comes in as an argument; only the edges read it."""
    allowed = {
        "src/wavemend/site.py",
        "src/wavemend/feeds/reading/http.py",  # only as a default; callers hand in their clock
    }
    readers = {
        named(path)
        for path in SOURCES
        if re.search(r"datetime\.now\(|datetime\.utcnow\(|time\.time\(", path.read_text())
        and "testing" not in path.parts
    }
    assert readers <= allowed


def test_every_module_of_the_core_can_be_imported_first() -> None:
    """No circle of imports: a module that works only after another breaks whoever is new."""
    graph = {_module(path): _imported(path) for path in CORE}
    circles = []
    for start in sorted(graph):
        seen: set[str] = set()
        waiting: list[tuple[str, tuple[str, ...]]] = [(start, (start,))]
        while waiting:
            here, way = waiting.pop()
            for there in sorted(graph.get(here, ())):
                if there == start:
                    circles.append(" -> ".join((*way, there)))
                elif there not in seen:
                    seen.add(there)
                    waiting.append((there, (*way, there)))
    assert circles == []


def _module(path: Path) -> str:
    dotted = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
    return dotted.removesuffix(".__init__")


def _imported(path: Path) -> set[str]:
    """Return the modules that loading a file loads, with the packages they lie in."""
    known = {_module(other) for other in CORE}
    own = _module(path)
    found: set[str] = set()
    for node in _tree(path).body:  # what stands in functions or under TYPE_CHECKING loads later
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            found |= {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
    # Its own packages are being loaded already when a module is.
    return {name for name in found & known if name != own and not own.startswith(f"{name}.")}


def test_the_lock_names_no_place_to_download_from() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert "index-url" not in text
    assert text.count("--hash=sha256:") > 100


def test_functions_and_files_keep_their_measure() -> None:
    """Over budget means that a noun is missing: 350 lines a file, 60 a function."""
    long_files = [named(p) for p in SOURCES if len(p.read_text().splitlines()) > 350]
    long_functions = [
        f"{named(path)}:{node.lineno} {node.name}"
        for path in SOURCES
        if "migrations" not in path.parts
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > 60
    ]
    assert (long_files, long_functions) == ([], [])


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))
