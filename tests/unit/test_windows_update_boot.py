"""A Windows host is up when its servicing is done and its logon screen is there, and not before."""

import base64
import gzip
import json
from collections.abc import Mapping, Sequence

import pytest

from wavemend.errors import HostAnswerInvalid
from wavemend.managers import BootSeen
from wavemend.managers.windows_update import WINDOWS_UPDATE, WindowsUpdateManager
from wavemend.transport import OUTPUT_BOUND, CommandResult

MANAGER = WindowsUpdateManager()
UP = {
    "boot_id": "42",
    "last_boot": "2026-02-12T21:00:00Z",
    "uptime_seconds": 90,
    "servicing_in_progress": False,
    "logon_ui_ready": True,
    "scheduled_shutdown": "",
}
TOLD = {
    "scheduled": True,
    "refusal": "",
    "boot_id": "41",
    "last_boot": "2026-02-01T03:00:00Z",
    "exit_code": 0,
    "logged_on": [],
    "already_scheduled": False,
}


class Says:
    """A host that gives one answer, whatever it is asked."""

    peer_key = ""
    heard = b""

    def __init__(self, data: Mapping[str, object]) -> None:
        answer = {"schema": 1, "ok": True, "data": data, "error": None}
        self._line = b"WM1:" + base64.b64encode(json.dumps(answer).encode())

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        _ = (argv, deadline, bound)
        self.heard = stdin
        return CommandResult(
            exit_status=0, stdout=self._line, stderr=b"", dropped_bytes=0, seconds=0.1
        )

    run_as_root = run

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("otherwise", "is_up"),
    [
        ({}, True),
        ({"servicing_in_progress": True}, False),
        ({"logon_ui_ready": False}, False),
        ({"servicing_in_progress": True, "logon_ui_ready": False}, False),
    ],
)
def test_a_host_is_up_when_both_are_so(otherwise: Mapping[str, object], is_up: bool) -> None:
    seen = MANAGER.boot_seen(Says({**UP, **otherwise}), deadline=60)

    assert seen == BootSeen(boot_id="42", is_up=is_up)


def tell(host: Says) -> str:
    return MANAGER.tell_reboot(host, boot_id="41", fence=7, not_after=1_770_000_000, deadline=60)


def test_a_restart_that_is_scheduled_already_is_one() -> None:
    assert tell(Says({**TOLD, "exit_code": 1190, "already_scheduled": True})) == ""


def test_a_restart_that_the_host_does_not_take_is_said() -> None:
    for code, why in ((5, r"shutdown.exe: 5"), (21, "it goes on with its last one")):
        with pytest.raises(HostAnswerInvalid, match=why):
            tell(Says({**TOLD, "scheduled": False, "exit_code": code}))


@pytest.mark.parametrize(
    ("refusal", "why"),
    [("refused_late", "too late by its own clock"), ("refused_fence", "a newer controller")],
)
def test_a_word_that_is_nobodys_any_more_says_why(refusal: str, why: str) -> None:
    refused = {**TOLD, "scheduled": False, "exit_code": 21, "refusal": refusal}
    assert why in tell(Says(refused))


def test_a_word_for_another_boot_is_no_refusal_to_restart() -> None:
    """What it was to bring about is there already: whoever waits for the new boot goes on."""
    refused = {**TOLD, "scheduled": False, "exit_code": 21, "refusal": "refused_boot"}
    with pytest.raises(HostAnswerInvalid, match="it runs in another boot by now"):
        tell(Says(refused))


def test_the_host_is_told_for_which_boot_how_long_and_for_whom_the_word_holds() -> None:
    host = Says(TOLD)
    tell(host)

    asked = json.loads(gzip.decompress(base64.b64decode(host.heard)))["params"]
    word = {name: asked[name] for name in ("boot_id", "fence", "not_after")}
    assert word == {"boot_id": "41", "fence": 7, "not_after": 1_770_000_000}


def test_it_is_a_manager_that_needs_minutes_for_a_look() -> None:
    assert MANAGER.look_seconds >= 600
    assert WINDOWS_UPDATE.reboot_argv[0] == "shutdown.exe"
