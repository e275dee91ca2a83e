"""A plan takes every candidate: planned with exact versions, or left out with a reason."""

import dataclasses
import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cases.rollouts.build import (
    NOON,
    OCCASION,
    PROFILE,
    candidate,
    facts,
    host,
    ranked,
    update,
)
from wavemend.advisories import FeedSnapshot
from wavemend.hosts import FreeSpace, InstalledPackage, PendingUpdate
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.packages import Target
from wavemend.planning import Candidate, make_plan
from wavemend.plans import ExcludedHost, Plan, PlannedHost
from wavemend.policy.care import Unready
from wavemend.policy.profiles import Profile, Updates
from wavemend.readiness import MAX_SKEW, MIN_FREE_INODES
from wavemend.readiness_words import MIN_FREE_BYTES

FEEDS = [
    FeedSnapshot(feed=name, source="s", digest=f"d-{name}", fetched_at=NOON, data_date=NOON)
    for name in ("kev", "epss", "nvd")
]
OPENSSL = ranked(update())
BROKEN = InstalledPackage(
    name="zip", version="1", arch="amd64", source="zip", source_version="1", status="iF"
)


def plan(*candidates: Candidate, profile: object = PROFILE) -> Plan:
    return make_plan(OCCASION, profile, candidates, FEEDS)  # type: ignore[arg-type]


def excluded(made: Plan) -> dict[str, ExcludedHost]:
    return {gone.name: gone for gone in made.excluded}


@st.composite
def selections(draw: st.DrawFn) -> list[Candidate]:
    names = draw(st.lists(st.from_regex(r"[a-z]{1,3}[0-9]", fullmatch=True), unique=True))
    found = []
    for name in names:
        updates = [
            ranked(
                update(f"p{n}", held=draw(st.booleans()), phased=draw(st.booleans())),
                order=float(draw(st.integers(0, 5))),
            )
            for n in range(draw(st.integers(0, 3)))
        ]
        found.append(
            candidate(
                name,
                *sorted(updates, key=lambda item: item.priority.order),
                critical=draw(st.booleans()),
                reason=draw(st.sampled_from(["", "", "", "off", "key"])),
            )
        )
    return found


@settings(max_examples=80, deadline=None)
@given(selections(), st.integers(0, 2**32))
def test_every_candidate_is_planned_or_excluded_and_order_changes_nothing(
    candidates: list[Candidate], seed: int
) -> None:
    made = plan(*candidates)
    shuffled, feeds = [*candidates], [*FEEDS]
    random.Random(seed).shuffle(shuffled)
    random.Random(seed).shuffle(feeds)

    assert make_plan(OCCASION, PROFILE, shuffled, feeds).digest == made.digest
    assert made.expected() == tuple(sorted(c.host.name for c in candidates))
    assert all(gone.reason for gone in made.excluded)
    for each in candidates:
        if each.host.name in excluded(made):
            continue
        chosen = made.host(each.host.name)
        assert len(chosen.packages) + len(chosen.left_out) == len(each.ranked)
        assert (made.wave_of(chosen.name).kind == "critical") == each.host.critical


def test_a_plan_holds_exact_versions_and_the_fingerprint_of_the_host() -> None:
    made = plan(candidate("web1", ranked(update(), cves=["CVE-2026-1"])))
    chosen = made.host("web1")

    assert (chosen.packages[0].installed, chosen.packages[0].target) == ("1.0", "2.0")
    assert chosen.packages[0].cves == ("CVE-2026-1",)
    assert chosen.machine_id == "id-web1"
    assert chosen.host_key.startswith("ssh-ed25519 ")
    assert chosen.reboot == "if_needed"
    assert [feed.feed for feed in made.feeds] == ["epss", "kev", "nvd"]


def test_another_time_nonce_or_version_is_another_plan() -> None:
    web1 = candidate("web1", OPENSSL)
    newer = candidate("web1", ranked(replace(update(), candidate="2.1")))
    later = replace(OCCASION, now=datetime(2026, 3, 10, 13, tzinfo=UTC))
    digests = {
        plan(web1).digest,
        plan(newer).digest,
        make_plan(later, PROFILE, [web1], FEEDS).digest,
        make_plan(replace(OCCASION, nonce="1" * 32), PROFILE, [web1], FEEDS).digest,
        make_plan(OCCASION, PROFILE, [web1], FEEDS[:2]).digest,
    }

    assert len(digests) == 5


# --- packages that are left out ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pending", "outcome", "words"),
    [
        (update(held=True), PackageOutcome.HELD, "on hold"),
        (update(phased=True), PackageOutcome.PHASED, "has not released it"),
        (update(kept_back=True), PackageOutcome.NOT_OFFERED, "add or remove other packages"),
        (update(held=True, phased=True), PackageOutcome.HELD, "on hold"),
        (
            replace(update(kept_back=True), removes=("jq", "moreutils")),
            PackageOutcome.NOT_OFFERED,
            "it would remove jq, moreutils",
        ),
        (
            replace(update(), withheld="needs an Ubuntu Pro subscription (esm-apps)"),
            PackageOutcome.NOT_OFFERED,
            "needs an Ubuntu Pro subscription (esm-apps)",
        ),
    ],
)
def test_held_phased_and_kept_back_updates_are_left_out_with_their_outcome(
    pending: PendingUpdate, outcome: PackageOutcome, words: str
) -> None:
    made = plan(candidate("web1", OPENSSL, ranked(replace(pending, name="zip"))))
    (left,) = made.host("web1").left_out

    assert [package.name for package in made.host("web1").packages] == ["openssl"]
    assert (left.name, left.outcome, left.candidate) == ("zip", outcome, "2.0")
    assert words in left.reason


def test_a_host_with_nothing_but_left_out_updates_is_skipped_with_each_reason() -> None:
    made = plan(
        candidate("web1", ranked(update("zip", held=True)), ranked(update("jq", phased=True)))
    )

    assert made.hosts == ()
    assert excluded(made)["web1"].outcome is Outcome.SKIPPED
    assert excluded(made)["web1"].reason == (
        "zip held: on hold on the host; "
        "jq phased: the distribution has not released it to this host yet"
    )


def test_a_security_profile_takes_security_updates_and_those_that_close_a_cve() -> None:
    security = replace(PROFILE, updates=Updates.SECURITY)
    plain = ranked(update("tzdata", security=False))
    closes = ranked(update("rsync", security=False), cves=["CVE-2026-2"])
    made = plan(candidate("web1", OPENSSL, plain, closes), profile=security)
    chosen = made.host("web1")

    assert [package.name for package in chosen.packages] == ["openssl", "rsync"]
    assert [(left.name, left.outcome) for left in chosen.left_out] == [
        ("tzdata", PackageOutcome.NOT_ATTEMPTED)
    ]


# --- packages that come along --------------------------------------------------------------------

IMAGE = Target(name="linux-image-6.1.0-50-amd64", arch="amd64", version="6.1.50-1")
KERNEL = ranked(
    replace(update("linux-image-amd64", kept_back=True), brings=(IMAGE,)), cves=["CVE-2026-3"]
)


def test_an_update_that_only_brings_packages_is_planned_with_them() -> None:
    chosen = plan(candidate("web1", KERNEL, OPENSSL)).host("web1")
    new = chosen.packages[-1]

    assert [package.name for package in chosen.packages] == [
        *("linux-image-amd64", "openssl", "linux-image-6.1.0-50-amd64")
    ]
    assert (new.installed, new.target, new.origin) == ("", "6.1.50-1", KERNEL.update.origin)
    assert (new.lane, new.due) == (KERNEL.priority.lane, KERNEL.priority.due)
    assert chosen.left_out == ()


def test_what_several_updates_need_is_planned_once_and_a_planned_update_stays_itself() -> None:
    openssl = Target(name="openssl", arch="amd64", version="2.0")
    headers = replace(KERNEL.update, name="linux-headers-amd64", brings=(IMAGE, openssl))
    own = ranked(update(), cves=["CVE-2026-9"])
    chosen = plan(candidate("web1", KERNEL, own, ranked(headers))).host("web1")

    assert [package.name for package in chosen.packages] == [
        *("linux-image-amd64", "openssl", "linux-headers-amd64", "linux-image-6.1.0-50-amd64")
    ]
    assert chosen.packages[1].cves == ("CVE-2026-9",)


def test_an_upgrade_that_a_planned_one_needs_comes_along_although_the_profile_leaves_it() -> None:
    base = Target(name="linux-base", arch="amd64", version="2.0")
    plain = ranked(update("linux-base", security=False))
    needs = ranked(replace(KERNEL.update, brings=(base,)), cves=["CVE-2026-3"])
    seen = replace(facts("web1"), installed=(replace(BROKEN, name="linux-base", status="ii"),))
    profile = replace(PROFILE, updates=Updates.SECURITY, new_packages=False)
    chosen = plan(candidate("web1", needs, plain, facts_of=seen), profile=profile).host("web1")

    assert [(p.name, p.installed, p.target) for p in chosen.packages] == [
        ("linux-image-amd64", "1.0", "2.0"),
        ("linux-base", "1", "2.0"),
    ]
    assert chosen.left_out == ()


def test_a_profile_that_takes_no_new_packages_leaves_the_update_out_and_names_them() -> None:
    profile = replace(PROFILE, new_packages=False)
    chosen = plan(candidate("web1", KERNEL, OPENSSL), profile=profile).host("web1")
    (left,) = chosen.left_out

    assert [package.name for package in chosen.packages] == ["openssl"]
    assert left.outcome is PackageOutcome.NOT_ATTEMPTED
    assert "linux-image-6.1.0-50-amd64" in left.reason


# --- hosts that are left out ---------------------------------------------------------------------


def test_a_host_without_updates_has_nothing_to_do() -> None:
    gone = excluded(plan(candidate("web1")))["web1"]

    assert (gone.outcome, gone.reason) == (Outcome.NOTHING_TO_DO, "nothing is pending")


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("off", Outcome.UNREACHABLE),
        ("silent", Outcome.UNREACHABLE),
        ("lost", Outcome.UNREACHABLE),
        ("answer", Outcome.UNREACHABLE),
        ("key", Outcome.BLOCKED),
        ("login", Outcome.BLOCKED),
    ],
)
def test_an_unseen_host_is_counted_with_what_kept_it_from_being_seen(
    reason: str, outcome: Outcome
) -> None:
    gone = excluded(plan(candidate("web1", reason=reason)))["web1"]

    assert (gone.outcome, gone.reason) == (outcome, f"preflight: {reason}: no answer")


def test_without_a_pilot_that_can_be_observed_nobody_else_is_patched() -> None:
    """Else the first broad wave would be the pilot, with no gate before it."""
    made = plan(
        candidate("web1", reason="off"), candidate("web2", OPENSSL), candidate("web3", OPENSSL)
    )

    assert made.hosts == ()
    assert excluded(made)["web1"].outcome is Outcome.UNREACHABLE
    for name in ("web2", "web3"):
        assert excluded(made)[name].outcome is Outcome.NOT_ATTEMPTED
        assert excluded(made)[name].reason == "no host of pilot can be observed: web1"


def test_a_pilot_with_nothing_to_install_keeps_nobody_back() -> None:
    made = plan(candidate("web1"), candidate("web2", OPENSSL))

    assert [chosen.name for chosen in made.hosts] == ["web2"]
    assert excluded(made)["web1"].outcome is Outcome.NOTHING_TO_DO


def test_an_update_that_the_manager_cannot_be_asked_for_is_left_out_with_the_reason() -> None:
    odd = dataclasses.replace(
        candidate("web1", OPENSSL),
        unfit={(OPENSSL.update.name, OPENSSL.update.arch): "apt-get would misread the version"},
    )
    made = plan(odd)

    assert excluded(made)["web1"].outcome is Outcome.SKIPPED
    assert "would misread" in excluded(made)["web1"].reason


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"index_errors": ("404 Not Found",)}, "index cannot be refreshed: 404 Not Found"),
        ({"broken": (BROKEN,)}, "packages are not whole: zip (iF)"),
        ({"lock_holder": "apt-get (1234)"}, "in use by apt-get (1234)"),
        ({"free_space": (FreeSpace("/var", MIN_FREE_BYTES - 1, 10**6),)}, "/var is nearly full"),
        ({"free_space": (FreeSpace("/", 10**10, MIN_FREE_INODES - 1),)}, "/ is nearly full"),
        ({"clock_skew_seconds": MAX_SKEW.total_seconds() + 0.1}, "its clock is 30 s off"),
        ({"clock_skew_seconds": -3600.0}, "its clock is -3600 s off"),
    ],
)
def test_an_unfit_host_is_skipped_with_the_reason(changes: dict[str, object], words: str) -> None:
    unfit = dataclasses.replace(facts("web2"), **changes)  # type: ignore[arg-type]
    made = plan(candidate("web1", OPENSSL), candidate("web2", OPENSSL, facts_of=unfit))
    gone = excluded(made)["web2"]

    assert [chosen.name for chosen in made.hosts] == ["web1"]
    assert gone.outcome is Outcome.SKIPPED
    assert gone.reason.startswith("preflight: ")
    assert words in gone.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"free_space": (FreeSpace("/", MIN_FREE_BYTES, MIN_FREE_INODES),)},
        {"free_space": (FreeSpace("/", 10**10, -1),)},
        {"clock_skew_seconds": -MAX_SKEW.total_seconds()},
        {"rivals": ("unattended-upgrades",)},
        {"reboot_reasons": ("kernel",)},
    ],
    ids=["just enough room", "no inodes on this file system", "clock at the limit", "rival", "due"],
)
def test_what_does_not_keep_a_host_from_being_patched(changes: dict[str, object]) -> None:
    fit = dataclasses.replace(facts("web1"), **changes)  # type: ignore[arg-type]

    assert plan(candidate("web1", OPENSSL, facts_of=fit)).excluded == ()


# --- the group's rule ----------------------------------------------------------------------------

SICK = dataclasses.replace(facts("web2"), lock_holder="apt-get (7)")


@pytest.mark.parametrize("rule", [Unready.BLOCK, Unready.HOLD])
def test_where_the_group_goes_together_one_unready_host_keeps_all_back(rule: Unready) -> None:
    profile = replace(PROFILE, unready=rule)
    candidates = [candidate("web1", OPENSSL), candidate("web2", OPENSSL, facts_of=SICK)]
    made = plan(*candidates, profile=profile)

    assert made.hosts == ()
    assert excluded(made)["web1"].outcome is Outcome.NOT_ATTEMPTED
    assert excluded(made)["web1"].reason == (
        "group rule: web2 is not ready: lock: the package manager is in use by apt-get (7)"
    )
    assert excluded(made)["web2"].outcome is Outcome.SKIPPED
    accepted = make_plan(OCCASION, profile, candidates, FEEDS, accepted=True)
    assert [chosen.name for chosen in accepted.hosts] == ["web1"]


def test_a_rollout_of_another_kind_plans_its_hosts_by_the_same_waves() -> None:
    def plain(one: Candidate, profile: Profile) -> PlannedHost | ExcludedHost:
        planned = plan(candidate("web1", OPENSSL)).hosts[0]
        return replace(planned, name=one.host.name, packages=(), reboot=profile.reboot)

    candidates = [candidate("web1"), candidate("web2")]
    made = make_plan(OCCASION, PROFILE, candidates, FEEDS, plan_host=plain)

    assert [(w.name, w.hosts) for w in made.waves] == [("pilot", ("web1",)), ("broad-1", ("web2",))]
    assert made.excluded == ()


# --- waves ---------------------------------------------------------------------------------------


def test_inside_a_wave_the_most_urgent_host_comes_first_then_the_name() -> None:
    made = plan(
        candidate("aaa", ranked(update(), order=0.0)),
        candidate("calm", ranked(update(), order=9.0)),
        candidate("later", ranked(update(), order=5.0)),
        candidate("hot", ranked(update(), order=1.0)),
        candidate("kin", ranked(update(), order=1.0)),
    )

    assert [(w.name, w.hosts) for w in made.waves] == [
        ("pilot", ("aaa",)),
        ("broad-1", ("hot", "kin", "later", "calm")),
    ]


def test_critical_hosts_are_in_the_critical_wave_alone_and_empty_waves_are_left_out() -> None:
    made = plan(candidate("db1", OPENSSL, critical=True), candidate("db2", OPENSSL, critical=True))

    assert [(w.number, w.kind, w.hosts) for w in made.waves] == [(1, "critical", ("db1", "db2"))]
    assert made.waves[0].concurrency == 1


def test_a_waves_rules_are_frozen_into_the_plan() -> None:
    first = plan(candidate("web1", OPENSSL)).waves[0]

    assert (first.soak_seconds, first.gap_seconds, first.max_errors) == (300, 600, 0)
    assert (first.min_success_percent, first.min_observed) == (100, 1)


def test_a_simulated_host_is_marked_when_either_the_fleet_or_the_host_says_so() -> None:
    says = replace(facts("web1"), simulated=True)
    declared = replace(candidate("web2", OPENSSL), host=replace(host("web2"), simulated=True))
    made = plan(candidate("web1", OPENSSL, facts_of=says), declared, candidate("web3", OPENSSL))

    assert [chosen.simulated for chosen in made.hosts] == [True, True, False]
