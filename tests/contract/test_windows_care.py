"""A Windows host's restore point is proven by Windows' own list, and its services by the host.

The host is simulated: Windows' scripts are played, and nothing here was run on a real one. The
executor, the ledger, the way the scripts are called and their contracts are the real ones.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract.windows_bench import LCU, WindowsBench, bench_of
from tests.windows_host.parts import Service
from tests.windows_host.state import Fault, HostState, scenario
from tests.windows_host.world import winhost
from wavemend.execution.attempt import attempt_host
from wavemend.execution.hooks import run_hooks
from wavemend.execution.probes import run_probes
from wavemend.execution.restore_points import asking, prove_point, snapshotter, subject_of
from wavemend.ledger.attempts import Refused
from wavemend.outcomes import Outcome
from wavemend.policy.care import HostHook, Place, Probe, ProbeKind, RestorePointRule, When
from wavemend.snapshots import RestorePoint
from wavemend.steps.prepare import prepare_host
from wavemend.transports.winrm import connect

SERVER, CLIENT = "ok_reboot", "client_restore_point"
REQUIRED = RestorePointRule(kind="windows", required=True)


def bench(folder: Path, played: HostState | str = SERVER, **changes: object) -> WindowsBench:
    """Return a rollout of what a played host is offered first, with care taken as said."""
    state = scenario(played) if isinstance(played, str) else played
    made = bench_of(folder, state, state.wua.updates[0].kb[0])
    made.profile = replace(made.profile, restore_point=REQUIRED, **changes)  # type: ignore[arg-type]
    return made


def prove(made: WindowsBench, **changes: object) -> RestorePoint:
    """Make and prove the host's point, as the rollout's preparation does."""
    rule = replace(made.profile.restore_point, **changes)  # type: ignore[arg-type]
    return prove_point(made.hands(), subject_of(made.hands(), made.plan, made.host), rule)


# --- restore points -------------------------------------------------------------------------------


def test_a_server_keeps_a_shadow_copy_and_its_id_is_the_proof(tmp_path: Path) -> None:
    made = bench(tmp_path)

    point = prove(made)

    (kept,) = made.windows.state.points.made
    assert (point.proven, point.name) == (True, "wavemend-r-1-win1")
    assert point.reference == f"shadow_copy {kept.reference}"
    assert point.detail == f"shadow copy of C: {kept.reference}, listed by Windows"
    assert "never its servicing state" in point.restores


def test_a_client_keeps_a_restore_point_and_its_new_number_is_the_proof(tmp_path: Path) -> None:
    point = prove(bench(tmp_path, CLIENT))

    assert point.proven
    assert point.reference.startswith("restore_point ")


def test_a_client_whose_system_restore_is_off_keeps_a_shadow_copy(tmp_path: Path) -> None:
    state = scenario(CLIENT)
    state.points.restore_off = True

    assert prove(bench(tmp_path, state)).reference.startswith("shadow_copy ")


def test_a_point_is_made_once_however_often_it_is_prepared(tmp_path: Path) -> None:
    made = bench(tmp_path)

    first, second = prove(made), prove(made)

    assert first.reference == second.reference
    assert len(made.windows.state.points.made) == 1
    assert made.windows.jobs("snapshot") == 1


def test_without_room_for_a_required_point_the_host_is_blocked_with_windows_words(
    tmp_path: Path,
) -> None:
    state = scenario(SERVER)
    state.points.shadow_code = 6
    made = bench(tmp_path, state)

    point = prepare_host(made.hands(), made.take_lease(), made.plan, made.host, made.profile)

    assert not isinstance(point, Refused)
    assert not point.proven
    assert made.row().outcome == Outcome.BLOCKED
    assert "insufficient storage" in made.row().reason
    assert made.windows.jobs("install") == 0


def test_a_point_that_windows_dropped_since_blocks_the_change(tmp_path: Path) -> None:
    made = bench(tmp_path)
    prepare_host(made.hands(), made.take_lease(), made.plan, made.host, made.profile)
    made.windows.state.points.made[0].forgotten = True

    assert attempt_host(made.hands(), made.order()) is Outcome.BLOCKED

    assert "wavemend-r-1-win1 is not listed" in made.row().reason
    assert made.windows.jobs("install") == 0


def test_a_call_that_went_wrong_proves_nothing(tmp_path: Path) -> None:
    state = scenario(SERVER)
    state.faults.append(Fault(script="list_points", how="no_result", times=9))

    point = prove(bench(tmp_path, state))

    assert not point.proven
    assert "list Windows restore points" in point.detail
    assert made_none(state)


def made_none(state: HostState) -> bool:
    return not state.points.made


@pytest.mark.parametrize("fails", [False, True])
def test_a_point_is_removed_when_windows_lists_it_no_more(tmp_path: Path, fails: bool) -> None:
    made = bench(tmp_path)
    point = prove(made)
    made.windows.state.points.removal_fails = fails

    with asking(made.hands(), made.host) as ask:
        trouble = snapshotter(REQUIRED).remove(ask, made.host, point.name)
        left = snapshotter(REQUIRED).listed(ask, made.host)

    assert bool(trouble) is fails
    assert len(left.found) == int(fails)


@pytest.mark.parametrize(("kind", "of"), [("snapper", ""), ("lvm", "vg0/root"), ("btrfs", "")])
def test_a_kind_of_linux_is_refused_in_words_and_runs_nothing_on_windows(
    tmp_path: Path, kind: str, of: str
) -> None:
    point = prove(bench(tmp_path), kind=kind, of=of)

    assert not point.proven
    assert point.detail.endswith("is for Linux hosts, and this is one of Windows")


def test_the_versions_of_packages_are_no_restore_point_of_windows(tmp_path: Path) -> None:
    point = prove(bench(tmp_path), kind="package_versions")

    assert not point.proven
    assert "windows_update cannot be asked" in point.detail


def test_over_real_winrm_a_point_is_made_found_and_removed_and_a_service_asked_for(
    tmp_path: Path,
) -> None:
    with winhost(SERVER) as world:
        made = bench(tmp_path)
        made.windows = world.windows
        hands = replace(made.hands(), connect=lambda host: connect(host, world.login))
        world.windows.state.services = [Service(name="Shop")]
        subject = replace(subject_of(hands, made.plan, made.host), host=world.host)

        point = prove_point(hands, subject, REQUIRED)
        (probe,) = run_probes(hands, world.host, (service("Shop"),))
        with asking(hands, world.host) as ask:
            trouble = snapshotter(REQUIRED).remove(ask, world.host, point.name)

    assert point.reference.startswith("shadow_copy ")
    assert (probe.ok, trouble) == (True, "")
    assert world.windows.state.points.made == []


# --- probes and hooks -----------------------------------------------------------------------------


def probed(made: WindowsBench, *probes: Probe) -> Sequence[str]:
    return [result.detail for result in run_probes(made.hands(), made.host, probes)]


def service(name: str) -> Probe:
    return Probe(name=name, kind=ProbeKind.SERVICE, service=name)


def test_a_service_is_asked_for_by_its_name_and_is_up_down_or_unknown(tmp_path: Path) -> None:
    made = bench(tmp_path)
    made.windows.state.services = [
        Service(name="Shop"),
        Service(name="Shop$2", running=False, exit_code=1067),
    ]

    up, down, unknown = probed(made, service("Shop"), service("Shop$2"), service("'; exit 0 #"))

    assert up == ""
    assert down.startswith("Shop$2 is not up: ")
    assert unknown == "'; exit 0 # is not up: no such service"


def test_a_host_that_does_not_answer_in_form_is_not_well(tmp_path: Path) -> None:
    made = bench(tmp_path)
    made.windows.state.services = [Service(name="Shop")]
    made.windows.state.faults.append(Fault(script="health", how="truncated"))

    (detail,) = probed(made, service("Shop"))

    assert detail.startswith("answer: ")


def test_commands_of_probes_run_on_windows_as_they_are(tmp_path: Path) -> None:
    made = bench(tmp_path)
    names = Probe(name="name", argv=("hostname",))
    missing = Probe(name="missing", argv=("no-such-program", "a b"))

    well, unwell = probed(made, names, missing)

    assert well == ""
    assert unwell.startswith("exit status ")


def test_hooks_on_the_host_run_before_and_after_as_they_are(tmp_path: Path) -> None:
    hooks = (
        HostHook(name="drain", when=When.BEFORE, on=Place.HOST, argv=("hostname",)),
        HostHook(name="fill", when=When.AFTER, on=Place.HOST, argv=("no-such-program",)),
    )
    made = bench(tmp_path, hooks=hooks)
    prepare_host(made.hands(), made.take_lease(), made.plan, made.host, made.profile)

    attempt_host(made.hands(), made.order())

    assert made.installs()[LCU] == 1
    (trouble,) = run_hooks(made.hands(), made.order(), made.row().id, When.AFTER)
    assert trouble.startswith("after hook fill ")
