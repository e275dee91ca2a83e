"""Snaps are read as snapd prints them, by revisions; what is offered is the only thing to apply."""

import pytest

from tests.unit.apt_cases import Replies
from wavemend.errors import PlanError
from wavemend.managers.beside.snap import SnapSource
from wavemend.managers.beside.source import Additional
from wavemend.packages import Target

# In the form of Ubuntu 24.04, snapd 2.63, with other snaps: `snap list` and `snap refresh --list`.
LIST = """\
Name       Version   Rev    Tracking       Publisher       Notes
bare       1.0       5      latest/stable  canonical**     base
firefox    153.0-1   8664   latest/stable  mozilla**       -
wm-tool    18        212    latest/edge    somebody        held
mytool     0.1       x2     -              -               -
"""
OFFERED = """\
Name     Version   Rev    Size   Publisher   Notes
firefox  153.0-2   8701   282MB  mozilla**   -
wm-tool  19        230    4MB    somebody    -
"""
# In that of Ubuntu 20.04, snapd 2.45: without sizes.
OLD_OFFERED = """\
Name     Version   Rev    Publisher   Notes
firefox  153.0-2   8701   mozilla**   -
"""
TIMES = "timer: 00:00~24:00/4\nlast: today at 07:47 UTC\nnext: today at 13:12 UTC\n"


def answer(
    listed: str = LIST,
    offered: str = OFFERED,
    times: str = TIMES,
    *,
    said: str = "",
    status: int = 0,
) -> bytes:
    text = ""
    for name, out, errors, code in (
        ("list", listed, "", 0),
        ("refresh", offered, said, status),
        ("times", times, "", 0),
        ("end", "1", "", 0),
    ):
        text += f"\nn begin {name}\n{out}\nn errors {name}\n{errors}\nn end {name} {code}\n"
    return text.encode()


def read(stdout: bytes) -> Additional:
    source = SnapSource(nonce=lambda: "n")
    return source.read(Replies(stdout), "web1", refresh=False, deadline=60)


def target(name: str, revision: str, arch: str = "snap/latest/stable") -> Target:
    return Target(name=name, arch=arch, version=revision)


def test_snaps_are_installed_by_revision_and_name_their_channel() -> None:
    seen = read(answer())

    assert [(p.name, p.version, p.arch, p.source_version) for p in seen.installed] == [
        ("bare", "5", "snap/latest/stable", "1.0"),
        ("firefox", "8664", "snap/latest/stable", "153.0-1"),
        ("mytool", "x2", "snap/-", "0.1"),
        ("wm-tool", "212", "snap/latest/edge", "18"),
    ]


@pytest.mark.parametrize("offered", [OFFERED, OLD_OFFERED])
def test_what_is_offered_is_read_with_and_without_sizes(offered: str) -> None:
    seen = read(answer(offered=offered))

    update = seen.pending[0]
    assert (update.name, update.installed, update.candidate) == ("firefox", "8664", "8701")
    assert update.origin == "latest/stable 153.0-2"
    assert seen.index_errors == ()


def test_a_held_snap_is_pending_and_held() -> None:
    assert [(u.name, u.held) for u in read(answer()).pending] == [
        ("firefox", False),
        ("wm-tool", True),
    ]


def test_nothing_to_refresh_is_nothing_pending() -> None:
    seen = read(answer(offered="", said="All snaps up to date."))

    assert (seen.pending, seen.index_errors) == ((), ())


def test_a_store_that_cannot_be_reached_never_reads_as_nothing_pending() -> None:
    seen = read(answer(offered="", said="error: unable to contact snap store", status=1))

    assert seen.index_errors == (
        "snap refresh --list ended with 1: error: unable to contact snap store",
    )


def test_a_line_that_cannot_be_read_is_counted() -> None:
    seen = read(answer(offered=f"{OFFERED}something else\n"))

    assert seen.index_errors == ("snap refresh --list: 'something else' could not be read",)


def test_a_snapd_that_refreshes_by_itself_is_a_rival_unless_it_is_held() -> None:
    assert read(answer()).rivals == ("snapd (refreshes by itself)",)
    assert read(answer(times=f"{TIMES}hold: forever\n")).rivals == ()


def test_a_host_without_snapd_has_no_snaps() -> None:
    only_the_end = b"\nn begin end\n1\nn errors end\n\nn end end 0\n"

    assert read(only_the_end) == Additional()


def test_only_what_is_installed_is_rehearsed() -> None:
    source = SnapSource(nonce=lambda: "n")

    def refusal(name: str, revision: str, arch: str = "snap/latest/stable") -> str:
        wanted = [target(name, revision, arch)]
        return source.rehearse(Replies(answer()), wanted, deadline=60).refusal

    assert refusal("firefox", "8701") == ""
    assert refusal("vlc", "1") == "vlc is not installed by snap"
    assert refusal("wm-tool", "230", "snap/latest/edge") == "wm-tool is on hold"


def test_the_jobs_carry_names_and_revisions_as_data() -> None:
    source = SnapSource()

    assert source.apply_script([target("firefox", "8701")]).args == ("refresh", "firefox", "8701")
    assert source.undo_script([target("firefox", "8664")]).args == ("revert", "firefox", "8664")


@pytest.mark.parametrize(
    ("name", "revision"),
    [("--all", "1"), ("$(id)", "1"), ("a b", "1"), ("firefox", "latest"), ("firefox", "x2")],
)
def test_what_is_no_snap_or_no_revision_of_the_store_is_refused(name: str, revision: str) -> None:
    with pytest.raises(PlanError):
        SnapSource().apply_script([target(name, revision)])
