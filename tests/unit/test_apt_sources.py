"""A package source says whether it could be had and whether it is checked: silence is neither."""

import pytest

from tests.unit.apt_cases import read, recorded
from wavemend.hosts import Repository
from wavemend.managers.apt.parse import messages
from wavemend.managers.apt.repositories import repositories
from wavemend.managers.reading.sections import Section


def seen() -> dict[str, Repository]:
    facts = read(recorded("facts-sources-in-trouble"))
    assert facts.index_errors
    return {
        r.name.removeprefix("file:/root/repo/").removesuffix(" ./"): r for r in facts.repositories
    }


@pytest.mark.parametrize(
    ("name", "reachable", "signed", "words"),
    [
        ("good", True, True, ""),
        ("expired", False, True, "is expired"),
        ("forged", True, False, "NO_PUBKEY"),
        ("broken", False, True, "Hash Sum mismatch"),
        ("unsigned", True, False, "is not signed"),
        ("forged/.", True, False, "own.sources:1: Trusted: yes"),
        ("http://nowhere.lab/nobody bookworm", False, True, "Temporary failure resolving"),
        ("http://mirror.lab/debian-security bookworm-security", True, True, "as of Fri, 20 Nov"),
    ],
)
def test_each_trouble_is_told_of_its_own_source(
    name: str, reachable: bool, signed: bool, words: str
) -> None:
    found = seen()[name]

    assert (found.reachable, found.signed) == (reachable, signed)
    assert words in found.detail


def test_checks_that_the_host_leaves_out_are_told_of_every_source() -> None:
    for repository in seen().values():
        assert "apt.conf has Acquire::Check-Date 'false'" in repository.detail
        assert "apt.conf has Acquire::AllowInsecureRepositories 'true'" in repository.detail


def test_a_source_with_trust_declared_is_never_called_signed() -> None:
    facts = read(recorded("facts-pinned-brings-unsigned"))
    found = {r.name: r for r in facts.repositories}

    assert not found["file:/srv/unsigned ./"].signed
    assert found["http://mirror.lab/debian bookworm"].signed


def test_a_look_that_renews_nothing_says_nothing_of_sources() -> None:
    assert read(recorded("facts-up-to-date")).repositories == ()


def asked(*lines: str, status: int = 0, errors: tuple[str, ...] = ()) -> dict[str, Repository]:
    refresh = Section(lines=lines, errors=errors, status=status)
    return {r.name: r for r in repositories({"refresh": refresh})}


DEBIAN = "http://deb.example.org/debian bookworm"


def test_a_try_that_failed_before_another_one_succeeded_is_no_trouble() -> None:
    found = asked(
        f"Err:1 {DEBIAN} InRelease", "  Connection timed out", f"Get:1 {DEBIAN} InRelease [1 kB]"
    )

    assert found[DEBIAN] == Repository(name=DEBIAN, reachable=True, signed=True)


def test_what_was_cut_off_before_it_answered_was_not_reached() -> None:
    found = asked(f"Ign:1 {DEBIAN} InRelease", f"Hit:2 {DEBIAN}-updates InRelease", status=124)

    assert not found[DEBIAN].reachable
    assert found[f"{DEBIAN}-updates"].reachable


def test_trouble_with_an_index_is_told_of_the_source_it_belongs_to() -> None:
    found = asked(
        f"Hit:1 {DEBIAN} InRelease",
        f"Hit:2 {DEBIAN}-security InRelease",
        f"Err:3 {DEBIAN}-security/main amd64 Packages",
        "  404  Not Found",
        status=100,
    )

    assert found[DEBIAN].reachable
    assert not found[f"{DEBIAN}-security"].reachable
    assert found[f"{DEBIAN}-security"].detail == "404  Not Found"


@pytest.mark.parametrize(
    "words",
    [
        "W: Failed to fetch http://deb.example.org/debian/dists/bookworm/InRelease  refused",
        f"E: The repository '{DEBIAN} Release' does not have a Release file.",
        f"E: Repository '{DEBIAN} InRelease' changed its 'Suite' value from 'a' to 'b'",
    ],
)
def test_apts_own_words_about_a_source_make_it_unusable(words: str) -> None:
    found = asked(f"Hit:1 {DEBIAN} InRelease", f"Hit:2 {DEBIAN}-updates InRelease", errors=(words,))

    assert (found[DEBIAN].reachable, found[DEBIAN].detail) == (False, words)
    assert found[f"{DEBIAN}-updates"].detail == ""


AGEING = (
    # Printed by apt 2.6 on a host of the lab; by apt 2.7.13 and 3.0 as their users quote them.
    "Signature by key 8101BBAA6D23E49914C2BFB26FB4AD228AB08BB8 uses weak digest algorithm (SHA256)",
    "Signature by key FBA0C227099A5360635E3D9152165BD6B9BA26FA uses weak algorithm (rsa1024)",
    "Policy will reject signature within a year, see --audit for details",
)


@pytest.mark.parametrize("words", AGEING)
def test_a_signature_that_apt_takes_with_a_warning_is_told_and_hinders_nothing(words: str) -> None:
    warning = f"W: http://deb.example.org/debian/dists/bookworm/InRelease: {words}"
    found = asked(
        f"Hit:1 {DEBIAN} InRelease", f"Hit:2 {DEBIAN}-updates InRelease", errors=(warning,)
    )

    assert found[DEBIAN] == Repository(name=DEBIAN, reachable=True, signed=True, detail=warning)
    assert found[f"{DEBIAN}-updates"].detail == ""
    assert messages(Section(lines=(), errors=(warning, "E: more"), status=100)) == ("E: more",)


def test_a_signature_that_apt_refuses_is_no_old_one() -> None:
    ageing = f"W: http://deb.example.org/debian/dists/bookworm/InRelease: {AGEING[2]}"
    refused = f"W: GPG error: {DEBIAN} InRelease: The following signatures were invalid: EXPKEYSIG"

    found = asked(f"Hit:1 {DEBIAN} InRelease", errors=(ageing, refused))

    assert not found[DEBIAN].signed
    assert found[DEBIAN].detail.startswith(refused)
