"""A fleet file is read whole or refused whole, and every mistake is named with its line."""

import json
import random
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavemend.documents import canonical, sha256
from wavemend.errors import FleetError
from wavemend.feed_names import FEED_NAMES
from wavemend.feeds import FEEDS
from wavemend.fleet import Fleet, RolloutKey, Scope, fleet_from_document
from wavemend.inventory import INVENTORIES
from wavemend.inventory.fleet_docs import fleet_reference, fleet_schema_text
from wavemend.inventory.fleet_file import load_fleet
from wavemend.inventory.fleet_schema import HostForm, json_schema
from wavemend.inventory.ssh_keys import public_key_fault
from wavemend.manager_names import MANAGER_NAMES
from wavemend.managers import MANAGERS
from wavemend.policy.profiles import CRITICAL_WAVE, RebootRule, Updates, WaveKind
from wavemend.transports import TRANSPORTS

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/fleet.yaml"
CASES = sorted((ROOT / "tests/cases/fleet").glob("*.yaml"))
RIGHT = (ROOT / "tests/cases/fleet/right.yaml").read_text()


def load(folder: Path, text: str) -> Fleet:
    path = folder / "fleet.yaml"
    path.write_text(text)
    return load_fleet(path)


def refusal(path: Path) -> list[str]:
    with pytest.raises(FleetError) as caught:
        load_fleet(path)
    return [line.removeprefix(f"{path}:").strip() for line in str(caught.value).splitlines()]


def expected(path: Path) -> list[str]:
    lines = path.read_text().splitlines()
    wanted = [line.removeprefix("# expect:").strip() for line in lines if "# expect:" in line]
    return [] if wanted == ["nothing"] else wanted


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_each_wrong_file_is_refused_with_exactly_these_words(path: Path) -> None:
    if wanted := expected(path):
        assert refusal(path) == wanted
    else:
        assert load_fleet(path).hosts


def test_there_is_one_right_file_among_the_cases() -> None:
    assert [path.stem for path in CASES if not expected(path)] == ["right"]


def test_the_message_names_file_line_place_and_way_out() -> None:
    path = ROOT / "tests/cases/fleet/unknown-key.yaml"
    with pytest.raises(FleetError) as caught:
        load_fleet(path)

    assert (
        str(caught.value) == f'{path}:43: hosts[1].critcal: unknown key; did you mean "critical"?'
    )
    assert caught.value.exit_code == 10


def test_the_example_is_a_fleet_of_two_companies_and_ten_hosts() -> None:
    fleet = load_fleet(EXAMPLE)

    assert [host.name for host in fleet.hosts_of("acme")] == [
        "app1", "cold1", "db1", "web1", "web2", "web3",
    ]  # fmt: skip
    assert [host.name for host in fleet.hosts_of("globex")] == ["api1", "files1", "shop1", "shop2"]
    assert [host.name for host in fleet.hosts if host.critical] == ["db1"]
    assert fleet.rollouts() == (
        RolloutKey(tenant="acme", profile="debian-server", window="sat-night"),
        RolloutKey(tenant="globex", profile="debian-server", window="sun-early"),
    )
    assert len(fleet.members(fleet.rollouts()[0])) == 6
    assert {group.scope for group in fleet.groups} == set(Scope)
    assert [host.name for host in fleet.hosts_in("globex-broad")] == ["api1", "files1", "shop2"]
    assert fleet.source_path == str(EXAMPLE)


def test_a_profile_holds_what_the_file_says() -> None:
    profile = load_fleet(EXAMPLE).profile("debian-server")

    assert [wave.kind for wave in profile.waves] == [
        WaveKind.PILOT, WaveKind.BROAD, WaveKind.BROAD, WaveKind.CRITICAL,
    ]  # fmt: skip
    assert profile.updates is Updates.SECURITY
    assert profile.reboot is RebootRule.IF_NEEDED
    assert profile.probes[0].argv == ("systemctl", "is-active", "--quiet", "ssh")
    assert profile.waves[0].gap.total_seconds() == 3600
    assert profile.waves[0].gate.soak.total_seconds() == 1800


def test_without_a_critical_wave_critical_hosts_go_one_by_one(tmp_path: Path) -> None:
    wave = load(tmp_path, RIGHT).profile("debian-server").waves[-1]

    assert wave == CRITICAL_WAVE
    assert wave.concurrency == 1
    assert wave.gate.max_errors == 0


def test_a_host_without_a_fitting_profile_is_unmanaged(tmp_path: Path) -> None:
    fleet = load(tmp_path, RIGHT.replace("os: debian, device: server, ring: broad", "os: hpux"))

    assert [host.name for host in fleet.unmanaged()] == ["db1"]
    assert fleet.host("db1").manager == ""
    assert [host.name for key in fleet.rollouts() for host in fleet.members(key)] == ["web1"]


def test_simulated_hosts_and_other_companies_may_share_an_address(tmp_path: Path) -> None:
    text = RIGHT.replace("192.0.2.31", "192.0.2.11\n    simulated: true")
    text += "  - {name: shop1, tenant: globex, address: 192.0.2.11}\n"
    text = text.replace(
        "approvers:\n  - name", "  - {name: globex, zone: UTC}\napprovers:\n  - name"
    )

    assert {host.address for host in load(tmp_path, text).hosts} == {"192.0.2.11"}


def test_the_nearest_window_wins(tmp_path: Path) -> None:
    windows = RIGHT[RIGHT.index("  - name: night") : RIGHT.index("profiles:")]
    text = RIGHT.replace("profiles:", windows.replace("night", "noon") + "profiles:")
    own = text.replace("    address: 192.0.2.11\n", "    address: 192.0.2.11\n    window: noon\n")
    of_profile = text.replace("    window: night\n", "").replace(
        "    os: debian\n", "    os: debian\n    window: noon\n"
    )

    of_both = of_profile.replace("    approvers:", "    window: night\n    approvers:")
    assert load(tmp_path, of_both).host("db1").window == "night"
    assert load(tmp_path, own).host("web1").window == "noon"
    assert load(tmp_path, own).host("db1").window == "night"
    assert load(tmp_path, of_profile).host("db1").window == "noon"


def test_the_digest_depends_on_the_meaning_and_on_nothing_else(tmp_path: Path) -> None:
    fleet = load(tmp_path, RIGHT)
    head, hosts = RIGHT.split("hosts:\n")
    web1, db1 = hosts.split("  - name: db1")
    turned = load(tmp_path, f"# moved\n{head}\nhosts:\n  - name: db1{db1}{web1}")

    assert fleet.digest.startswith("sha256:")
    assert turned.digest == fleet.digest
    assert load(tmp_path, RIGHT.replace("192.0.2.31", "192.0.2.32")).digest != fleet.digest
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert load(elsewhere, RIGHT).digest == fleet.digest


def test_a_stored_fleet_comes_back_whole_or_not_at_all() -> None:
    fleet = load_fleet(EXAMPLE)
    document = fleet.document()

    assert fleet_from_document(document, fleet.digest, source_path=fleet.source_path) == fleet
    with pytest.raises(FleetError, match="is not the one called"):
        fleet_from_document(document.replace(b"192.0.2.31", b"192.0.2.99"), fleet.digest)
    assert replace(fleet, digest="").sealed() == fleet


def test_what_the_fleet_does_not_have_is_said_with_what_it_has() -> None:
    fleet = load_fleet(EXAMPLE)

    with pytest.raises(FleetError, match=r'the fleet has no login "jump" \(known: default\)'):
        fleet.login("jump")
    with pytest.raises(FleetError, match='no host "web9"'):
        fleet.host("web9")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: \xff\n", "1: is not UTF-8 text; save the file as UTF-8"),
        (b"a: \x07\n", "holds a character that YAML forbids: special characters are not allowed"),
        (b"#" * 5_000_001, "is larger than 5 MB; split the fleet over several files"),
        (b"a: " + b"[" * 2_000, "is nested deeper than 40 levels"),
        (b"schema: " + b"[" * 50 + b"]" * 50, "1: is nested deeper than 40 levels"),
        (b"schema: &a [*a]\n", "is nested deeper than 40 levels"),
    ],
)
def test_a_file_that_is_no_document_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_bytes(content)

    assert any(message in line for line in refusal(path))


def test_an_alias_bomb_does_not_go_off(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    bomb = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    bomb += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    path.write_text("\n".join(bomb))

    assert any("aliases multiply beyond all measure" in line for line in refusal(path))


def test_a_plain_alias_is_read(tmp_path: Path) -> None:
    text = RIGHT.replace("labels: {os: debian, device: server, ring: pilot}", "labels: &l {os: x}")
    fleet = load(
        tmp_path,
        text.replace("labels: {os: debian, device: server, ring: broad}", "labels: *l"),
    )

    assert fleet.host("db1").labels == fleet.host("web1").labels == {"os": "x"}


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.yaml") == [
        "cannot be read: No such file or directory; check the path"
    ]
    assert refusal(tmp_path) == ["cannot be read: Is a directory; check the path"]


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + RIGHT.encode())

    assert load_fleet(path).hosts


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_keys_made_by_openssh_are_keys(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)], check=True)
    line = path.with_suffix(".pub").read_text()

    assert public_key_fault(line) == ""
    assert public_key_fault(line.replace("AAAA", "AAAB", 1)) != ""
    fleet = load(
        tmp_path,
        RIGHT.replace("    critical:", f"    host_keys: ['{line.strip()}']\n    critical:"),
    )
    assert fleet.host("db1").host_keys == (" ".join(line.split()[:2]),)


SCRAPS = [
    "", "~", "[]", "{}", "x", "-1", "99999999999", "true", "1e999", "[1, {a: b}]", "{a: [b]}",
    "'\\0'", '"\\u0000"', "web1", "night", "all", "file:", "!!set {a}", "&x", "*x", "é", "|",
    "2026-01-01", "? a", "100%", "0x10", "1d1d", "\t", "- a", "'", "#", "!!binary aGk=", "<<: *x",
]  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_whatever_is_done_to_a_file_it_is_loaded_or_refused_in_our_own_words(
    tmp_path_factory: pytest.TempPathFactory, seed: int, changes: int
) -> None:
    chance = random.Random(seed)
    lines = RIGHT.splitlines()
    for _ in range(changes):
        at = chance.randrange(len(lines))
        key, colon, _value = lines[at].partition(":")
        lines[at : at + 1] = chance.choice(
            [[], [lines[at]] * 2, [f"{key}{colon} {chance.choice(SCRAPS)}"], [lines[at][2:]]]
        )
    folder = tmp_path_factory.mktemp("fuzz")
    try:
        fleet = load(folder, "\n".join(lines))
    except FleetError as error:
        told = str(error).splitlines()
        assert all(line.startswith(f"{folder}/fleet.yaml:") for line in told)
        assert len(told) == len(set(told))
    else:
        assert fleet.digest == fleet.sealed().digest


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=12, max_size=40))
@settings(deadline=None)
def test_a_secret_in_the_place_of_a_reference_is_never_repeated(
    tmp_path_factory: pytest.TempPathFactory, secret: str
) -> None:
    folder = tmp_path_factory.mktemp("secret")
    for field in ("key", "known_hosts"):
        entry = RIGHT.replace("    key: file:keys/id_ed25519\n", f'    {field}: "{secret}"\n')
        with pytest.raises(FleetError) as caught:
            load(folder, entry)
        assert secret not in str(caught.value).replace(str(folder), "")


def test_a_restore_point_that_an_older_fleet_required_is_required_still() -> None:
    fleet = load_fleet(EXAMPLE)
    data = json.loads(fleet.document())
    for profile in data["profiles"]:
        del profile["restore_point"]
    data["profiles"][0]["require_restore_point"] = True
    stored = canonical(data)

    found = fleet_from_document(stored, sha256(stored)).profiles

    assert [profile.restore_point.required for profile in found] == [
        position == 0 for position in range(len(found))
    ]


def test_the_choices_of_the_file_are_the_tables_of_the_product() -> None:
    schema = json_schema()["$defs"]

    assert set(schema[HostForm.__name__]["properties"]["transport"]["enum"]) == set(TRANSPORTS)
    assert set(MANAGER_NAMES) == set(MANAGERS)
    assert INVENTORIES["file"]()(EXAMPLE) == load_fleet(EXAMPLE)


def test_the_reference_pages_are_those_of_this_schema() -> None:
    folder = ROOT / "docs/reference"
    way_out = "write both again with `wavemend fleet schema` and `wavemend fleet schema --markdown`"

    assert (folder / "fleet.schema.json").read_text() == fleet_schema_text(), way_out
    assert (folder / "fleet.md").read_text() == fleet_reference(), way_out
    assert json.loads(fleet_schema_text())["properties"]["schema"]["const"] == "wavemend.fleet/1"


def test_every_key_of_the_file_says_what_it_means() -> None:
    for name, form in json_schema()["$defs"].items():
        assert form["description"], name
        for key, field in form["properties"].items():
            assert field.get("description"), f"{name}.{key}"


WAIVERS = """\
waivers:
  - name: old-ssl
    tenant: acme
    owner: alice@acme.example
    reason: the service behind it is switched off in March
    until: 2027-03-27
    cve: CVE-2024-6119
    select: ring=pilot
  - name: everywhere
    scope: global
    owner: alice@acme.example
    reason: the package is installed and never started
    until: 2027-03-27
    package: avahi
"""


def test_a_waiver_ends_with_its_last_day_where_the_company_is(tmp_path: Path) -> None:
    """28 March 2027 is the day on which Berlin turns its clocks: midnight is at 23:00 UTC."""
    fleet = load(tmp_path, RIGHT + WAIVERS)

    assert [waiver.id for waiver in fleet.waivers] == ["everywhere", "old-ssl"]
    everywhere, old = fleet.waivers
    assert old.until == datetime(2027, 3, 27, 23, tzinfo=UTC)
    assert everywhere.until == datetime(2027, 3, 28, tzinfo=UTC)
    assert fleet.waivers_of("acme") == fleet.waivers
    assert fleet.waivers_of("other") == (everywhere,)


def test_the_inventory_knows_exactly_the_feeds_there_are() -> None:
    assert set(FEEDS) == FEED_NAMES
