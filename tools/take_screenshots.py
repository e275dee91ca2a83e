"""Take the five pictures of docs/images from a running demo.

    make demo APPROVE=ui
    npm install --prefix /tmp/pictures playwright-core
    python tools/take_screenshots.py --modules /tmp/pictures
    make demo-down

It reads the demo's home (`--home`, demo-output by default) for the address of Prefect's API and
for the reports, asks the API which run waits for an approver, and lets a headless Chromium (Debian
package chromium) take: the graph of that run, its resume form, the table of outcomes of the run
that has ended, and that one's report at desk and phone width. Look at them before you keep them.
"""

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 400_000
"""Bytes of one picture: they are kept in the repository."""


class Missing(Exception):
    """Something the pictures need is not there; the message says what, and the way to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One picture. `clip` in CSS pixels; `element`: only that part of the page."""

    path: str
    kind: str
    url: str
    width: int
    height: int
    scale: float = 1
    clip: dict[str, int] | None = None
    element: str = ""


def main(argv: list[str]) -> int:
    """Take the pictures; say what is missing, with exit status 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--home", type=Path, default=ROOT / "demo-output", help="demo's home")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images", help="folder")
    parser.add_argument("--modules", type=Path, default=ROOT, help="folder with node_modules")
    options = parser.parse_args(argv)
    try:
        chromium = _program("chromium", "apt install chromium")
        node = _program("node", "apt install nodejs npm")
        _need_playwright(options.modules)
        shots = _shots(options.home, options.out)
        options.out.mkdir(parents=True, exist_ok=True)
        _take(node, chromium, options.modules, shots)
    except Missing as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return _judge(shots)


def _shots(home: Path, out: Path) -> list[Shot]:
    api = _api_of(home)
    ui = api.removesuffix("/api")
    waits = _newest(api, "flow_runs", {"flow_runs": {"state": {"name": {"any_": ["Suspended"]}}}})
    tables = {"artifacts": {"key": {"like_": "-outcomes-"}, "type": {"any_": ["table"]}}}
    ended = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    table = _newest(api, "artifacts", tables | ended)
    report = home / "reports" / f"rollout-{table['key'].partition('-outcomes-')[2]}.html"
    if not report.is_file():
        raise Missing(f"{report} is not there: the run has not written it yet")
    run = f"{ui}/runs/flow-run/{waits['id']}"
    return [
        Shot(
            path=str(out / "prefect-rollout-graph.png"),
            kind="graph",
            url=run,
            width=1600,
            height=800,
            scale=1.5,
            clip={"x": 256, "y": 0, "width": 1344, "height": 500},
        ),
        Shot(
            path=str(out / "prefect-resume-form.png"),
            kind="resume",
            url=run,
            width=1440,
            height=1560,
            element=".p-modal__card, .p-modal",
        ),
        Shot(
            path=str(out / "prefect-artifact-table.png"),
            kind="plain",
            url=f"{ui}/artifacts/artifact/{table['id']}",
            width=1500,
            height=620,
        ),
        Shot(
            path=str(out / "report-desktop.png"),
            kind="plain",
            url=report.resolve().as_uri(),
            width=1440,
            height=1420,
        ),
        Shot(
            path=str(out / "report-phone.png"),
            kind="plain",
            url=report.resolve().as_uri(),
            width=390,
            height=1180,
            scale=2,
        ),
    ]


def _api_of(home: Path) -> str:
    note = home / "run" / "api-url"
    if not note.is_file():
        raise Missing(f"{note} is not there: `make demo APPROVE=ui` first, or name the --home")
    return note.read_text().strip()


def _newest(api: str, what: str, query: dict[str, Any]) -> dict[str, Any]:
    body = {**query, "limit": 1, "sort": "CREATED_DESC" if what == "artifacts" else "ID_DESC"}
    try:
        answer = requests.post(f"{api}/{what}/filter", json=body, timeout=20)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()
    except requests.RequestException as error:
        raise Missing(f"Prefect does not answer at {api}: {error}") from error
    if not found:
        raise Missing(
            f"no {what} for {json.dumps(query)}: the demo must be waiting for its approver, "
            "`make demo APPROVE=ui`"
        )
    return found[0]


def _take(node: str, chromium: str, modules: Path, shots: list[Shot]) -> None:
    job = {"chromium": chromium, "shots": [asdict(shot) for shot in shots]}
    done = subprocess.run(
        [node, str(Path(__file__).with_suffix(".js")), str(modules.resolve())],
        input=json.dumps(job),
        text=True,
        capture_output=True,
        check=False,
        timeout=300,
    )
    if done.returncode != 0:
        raise Missing(f"the browser gave up: {(done.stderr or done.stdout).strip()[-800:]}")


def _judge(shots: list[Shot]) -> int:
    sizes = {shot.path: Path(shot.path).stat().st_size for shot in shots}
    for path, size in sizes.items():
        sys.stdout.write(f"{path}: {size / 1000:.0f} kB{' TOO LARGE' if size > LARGEST else ''}\n")
    return int(any(size > LARGEST for size in sizes.values()))


def _need_playwright(folder: Path) -> None:
    if not (folder / "node_modules" / "playwright-core").is_dir():
        hint = f"npm install --prefix {folder} playwright-core"
        raise Missing(f"playwright-core is not in {folder}: {hint}")


def _program(name: str, hint: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Missing(f"{name} is missing: {hint}")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
