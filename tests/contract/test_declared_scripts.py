"""Declared words reach their programs unchanged, as the declared account, each step at most once.

The real scripts in a real sh, and the real job mechanism, on this machine below a folder.
"""

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.contract.declared_bench import declared, run_job
from tests.contract.local_root import LocalRoot
from wavemend.errors import HostAnswerInvalid
from wavemend.execution.conclude import decide
from wavemend.execution.follow import Followed
from wavemend.execution.job_answers import JobState, JobView
from wavemend.execution.reboot import Rebooted
from wavemend.hosts import Facts, Host
from wavemend.managers.declared import ARCH, DeclaredManager
from wavemend.observations import Look
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.packages import Target

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")

HOST = Host(name="h1", tenant="acme", address="192.0.2.1")
SHELLS = [path for path in ("/bin/dash", "/bin/bash", "/bin/busybox") if Path(path).exists()]
SIGNS = [
    "'",
    '"',
    "\\",
    "\\n",
    "\\c",
    "\n",
    "\n\n",
    "$(id)",
    "`id`",
    "$HOME",
    ";",
    "*",
    "%s",
    " ",
    "-n",
]

FORM = """\
schema: wavemend.manager/1
title: a test
versions: deb
account: ACCOUNT
installed:
  run: [cat, FOLDER/installed]
  lines: '^(?P<name>\\S+) (?P<version>\\S+)$'
available:
  run: [cat, FOLDER/available]
  lines: '^(?P<name>\\S+) (?P<version>\\S+)$'
apply:
  steps:
    - [FOLDER/step, "{name}", "{version}"]
  exit: {0: done, 1: failed, 5: nothing, 10: reboot}
"""


@pytest.fixture
def root(tmp_path: Path) -> LocalRoot:
    """Return this machine as a host below a folder."""
    folder = tmp_path / "root"
    for name in ("proc/sys/kernel/random", "etc", "run", "var"):
        (folder / name).mkdir(parents=True)
    (folder / "proc/sys/kernel/random/boot_id").write_text("boot-1\n")
    (folder / "proc/uptime").write_text("10.00 10.00\n")
    (folder / "etc/os-release").write_text("ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n")
    return LocalRoot(folder)


@pytest.fixture
def readable() -> Iterator[Path]:
    """Return a folder that other accounts may read, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


class Device:
    """One item called `thing`, whose step is a script of the test."""

    def __init__(self, root: LocalRoot, folder: Path, text: str = FORM) -> None:
        self.root, self.folder = root, folder
        filled = text.replace("FOLDER", str(folder)).replace("ACCOUNT", "root")
        self.manager = DeclaredManager(declaration=declared(filled, folder))
        self.write("installed", "thing 1.0\n")
        self.write("available", "thing 1.0\nthing 1.1\nthing 1.10\n")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def step(self, script: str) -> None:
        self.write("step", f"#!/bin/sh\n{script}\n")
        (self.folder / "step").chmod(0o755)

    def facts(self) -> Facts:
        now = datetime.now(UTC)
        return self.manager.read_facts(HOST, self.root, now, refresh=False, deadline=60)

    def apply(self, version: str = "1.10") -> tuple[int | None, str]:
        targets = (Target(name="thing", arch=ARCH, version=version),)
        end = run_job(self.root, self.manager.apply_script(targets))
        return end.exit_status, end.log.decode()


@pytest.fixture
def device(root: LocalRoot, tmp_path: Path) -> Device:
    return Device(root, tmp_path)


def test_the_newest_version_by_the_declared_order_is_pending(device: Device) -> None:
    facts = device.facts()
    assert [(u.name, u.installed, u.candidate) for u in facts.pending] == [("thing", "1.0", "1.10")]
    assert facts.boot_id == "boot-1"
    # Its items are not Debian's, and Debian's advisories do not speak of them.
    assert facts.release_keys[0] == "mine-12"


@pytest.mark.parametrize("shell", SHELLS)
def test_any_declared_word_reaches_its_program_unchanged(
    root: LocalRoot, tmp_path: Path, shell: str
) -> None:
    chance = random.Random(4)
    words = [*SIGNS, *("".join(chance.choices(SIGNS, k=4)) for _ in range(60))]
    listed = "".join(f"      - {yaml_text(word)}\n" for word in words)
    text = FORM.replace(
        '    - [FOLDER/step, "{name}", "{version}"]\n', f"    - - FOLDER/step\n{listed}"
    )
    text = text.replace("    - - FOLDER/step\n", '    - - FOLDER/step\n      - "{version}"\n')
    device = Device(root, tmp_path, text)
    device.step('shift; printf "%s\\\\0" "$@" >"$(dirname "$0")/got"')
    plain = tmp_path / "bin"
    plain.mkdir()
    (plain / "sh").symlink_to(shell)
    script = device.manager.apply_script((Target(name="thing", arch=ARCH, version="1.1"),))
    argv = [str(plain / "sh"), "-s", "--", *script.args]
    done = root.run(argv, stdin=script.text.encode(), deadline=60)
    assert done.exit_status == 0, done.stderr
    assert (tmp_path / "got").read_text().split("\0")[:-1] == words


def yaml_text(word: str) -> str:
    """Write a word as YAML's double-quoted text."""
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another account needs root")
def test_commands_run_as_the_declared_account_with_their_words_unchanged(
    root: LocalRoot, readable: Path
) -> None:
    text = FORM.replace("account: ACCOUNT", "account: nobody").replace(
        'FOLDER/step, "{name}"', """FOLDER/step, "it's \\"$(id)\\"", "{name}\""""
    )
    device = Device(root, readable, text)
    device.step('id -un; printf "%s|" "$@"')
    status, log = device.apply()
    assert status == 0
    assert 'nobody\nit\'s "$(id)"|thing|1.10|' in log
    assert device.facts().pending


def test_the_first_step_that_fails_is_the_last_one_that_runs(
    root: LocalRoot, tmp_path: Path
) -> None:
    step = '    - [FOLDER/step, "{name}", "{version}"]\n'
    text = FORM.replace(step, step + step.replace("{name}", "second"))
    device = Device(root, tmp_path, text)
    device.step('echo "$1" >>"$(dirname "$0")/ran"; [ "$1" != thing ] || exit 7')
    status, log = device.apply()
    assert status == 7
    assert "wavemend: step 1 ended with 7" in log
    assert (tmp_path / "ran").read_text() == "thing\n"


@pytest.mark.parametrize(("code", "words"), [(7, "does not list"), (1, "exit status 1: failed")])
def test_an_exit_code_explains_and_never_decides(device: Device, code: int, words: str) -> None:
    targets = (Target(name="thing", arch=ARCH, version="1.10"),)
    device.step(f"echo 'everything went well'; exit {code}")
    before = device.facts()
    end = run_job(device.root, device.manager.apply_script(targets))
    (result,) = device.manager.judge(targets, before, device.facts(), end)
    assert result.outcome is PackageOutcome.FAILED
    assert words in result.detail
    device.write("installed", "thing 1.10\n")
    (result,) = device.manager.judge(targets, before, device.facts(), end)
    assert result.outcome is PackageOutcome.INSTALLED


def test_a_code_that_asks_for_a_restart_is_a_reason_until_the_next_boot(device: Device) -> None:
    device.step("exit 10")
    assert device.apply()[0] == 10
    assert device.facts().reboot_reasons == ("a step of the change asked for a restart",)
    (device.root.root / "proc/sys/kernel/random/boot_id").write_text("boot-2\n")
    assert device.facts().reboot_reasons == ()


def test_a_step_with_a_deadline_is_ended_on_the_host(root: LocalRoot, tmp_path: Path) -> None:
    device = Device(root, tmp_path, FORM + "  deadline: 1s\n")
    device.step("sleep 30")
    status, _ = device.apply()
    assert status == 124


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        ("", "lists nothing"),
        ("thing 1.0\nthing 1.1\n", "thing is there twice"),
        ("thing 1.0\nWarning: out of tea\n", "neither an item nor to be skipped"),
        ("thing $(reboot)\n", "no name and version"),
        ("-rf 1.0\n", "no name and version"),
        ("thing 1.0\n" + "x" * 5_000, "a line of 5000 characters"),
    ],
)
def test_a_list_that_cannot_be_read_whole_is_no_answer(
    device: Device, listed: str, words: str
) -> None:
    device.write("installed", listed)
    with pytest.raises(HostAnswerInvalid, match=words.replace("(", r"\(")):
        device.facts()


def test_a_source_that_cannot_be_asked_is_said_and_offers_nothing(device: Device) -> None:
    (device.folder / "available").unlink()
    facts = device.facts()
    assert facts.pending == ()
    assert (
        "available: exit status 1, which the declaration does not list: cat"
        in facts.index_errors[0]
    )


def test_what_must_hold_and_does_not_makes_the_host_not_whole(
    root: LocalRoot, tmp_path: Path
) -> None:
    verify = (
        'verify:\n  run: [FOLDER/check, "{name}", "{installed}"]\n  exit: {0: done, 3: failed}\n'
    )
    device = Device(root, tmp_path, FORM + verify)
    device.write("check", '#!/bin/sh\n[ "$2" = 1.0 ] || { echo "$1 $2 is down" >&2; exit 3; }\n')
    (tmp_path / "check").chmod(0o755)
    assert device.facts().broken == ()
    device.write("installed", "thing 1.1\n")
    (broken,) = device.facts().broken
    assert (broken.name, broken.version) == ("thing", "1.1")
    assert broken.status == "verify of thing: exit status 3: failed: thing 1.1 is down"


RUNNING = """\
running:
  run: [sh, FOLDER/running]
  lines: '^(?P<name>\\S+) (?P<version>\\S+)$'
"""


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("echo busy >&2; exit 1", "running: exit status 1, which the declaration does not list"),
        ("exit 0", "running: it lists nothing"),
        ("echo Thing 1.0", "running: Thing is none of the installed items"),
    ],
)
def test_a_change_after_which_nobody_can_say_what_runs_has_not_succeeded(
    root: LocalRoot, tmp_path: Path, says: str, words: str
) -> None:
    device = Device(root, tmp_path, FORM + RUNNING)
    device.write("running", "echo thing 1.0\n")
    before = device.facts()
    assert (before.broken, before.index_errors) == ((), ())

    device.write("installed", "thing 1.10\n")
    device.write("running", f"{says}\n")
    after = device.facts()
    assert words in after.index_errors[0]
    rebooted = Rebooted(look=Look(host="h1", at=after.collected_at, facts=after))
    ended = Followed(view=JobView(state=JobState.ENDED, exit_status=0))
    outcome, reason = decide(ended, before, rebooted, (), ())
    assert outcome is Outcome.FAILED
    assert words in reason


def test_a_command_that_hangs_is_ended_and_the_look_goes_on(
    root: LocalRoot, tmp_path: Path
) -> None:
    text = FORM.replace("run: [cat, FOLDER/available]", "deadline: 1s\n  run: [sleep, '60']")
    device = Device(root, tmp_path, text)
    facts = device.facts()
    assert facts.installed
    assert "available: exit status 124" in facts.index_errors[0]


def test_an_item_can_be_asked_about_by_its_name(root: LocalRoot, tmp_path: Path) -> None:
    text = FORM.replace(
        "run: [cat, FOLDER/available]\n  lines: '^(?P<name>\\S+) (?P<version>\\S+)$'",
        'run: [FOLDER/newest, "{name}", "{installed}"]\n  lines: "^(?P<version>[0-9.]+)$"',
    )
    device = Device(root, tmp_path, text)
    device.write("installed", "thing 1.0\nother 2.0\n")
    device.write("newest", '#!/bin/sh\necho "$2.1"\n')
    (tmp_path / "newest").chmod(0o755)
    pending = [(update.name, update.candidate) for update in device.facts().pending]
    assert pending == [("other", "2.0.1"), ("thing", "1.0.1")]
