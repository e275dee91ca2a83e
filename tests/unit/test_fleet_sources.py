"""Hosts kept in other files come into the fleet whole and checked, and every fault has a place."""

import shutil
from pathlib import Path

import pytest

from wavemend.errors import FleetError
from wavemend.fleet import Fleet, Scope
from wavemend.inventory.fleet_file import load_fleet, read_fleet
from wavemend.inventory.sources import READERS

CASES = Path(__file__).parents[1] / "cases/sources"
HEAD = (Path(__file__).parents[1] / "cases/fleet/right.yaml").read_text().partition("hosts:\n")[0]
DEPLOY = "  - name: deploying\n    user: deploy\n    key: file:keys/deploy\n"
LATE = """  - name: late
    zone: UTC
    start: "23:00"
    days: [sun]
    duration: 4h
    cutoff: 1h
"""


def fleet_of(folder: Path, kind: str, file: str, more: str = "") -> Fleet:
    text = f"{HEAD}{DEPLOY}sources:\n  - name: other\n    kind: {kind}\n    file: {file}\n"
    text = text.replace("profiles:\n", f"{LATE}profiles:\n", 1)
    path = folder / "fleet.yaml"
    path.write_text(f"{text}    tenant: acme\n    labels: {{ring: pilot}}\n{more}")
    return load_fleet(path)


def refusal(folder: Path, kind: str, file: str, more: str = "") -> list[str]:
    with pytest.raises(FleetError) as caught:
        fleet_of(folder, kind, file, more)
    return str(caught.value).splitlines()


def case(folder: Path, name: str) -> str:
    if (CASES / name).is_dir():
        shutil.copytree(CASES / name, folder / name)
    else:
        shutil.copy(CASES / name, folder / name)
    return name


def test_a_csv_file_gives_hosts_beside_those_of_the_fleet_file(tmp_path: Path) -> None:
    own = "hosts:\n  - {name: app1, tenant: acme, address: 192.0.2.50, labels: {ring: late}}\n"
    fleet = fleet_of(tmp_path, "csv", case(tmp_path, "hosts.csv"), own)

    assert [host.name for host in fleet.hosts] == ["app1", "db1", "web1"]
    db1 = fleet.host("db1")
    assert (db1.address, db1.port, db1.critical, db1.tenant) == ("192.0.2.31", 2222, True, "acme")
    assert db1.labels == {"device": "server", "os": "debian", "ring": "pilot", "role": "db"}
    assert db1.profile == "debian-server"


def test_a_wrong_csv_names_row_and_column(tmp_path: Path) -> None:
    (tmp_path / "hosts.csv").write_text(
        "name,address,port,critical,label:os\n"
        "web1,192.0.2.11,22a,no,debian\n"
        'web2,"192.0.2.12",99999,perhaps,debian\n'
        "web3,192.0.2.13 x,22,no\n"
        "=cmd|' /C calc'!A0,192.0.2.14,22,no,debian\n"
        "web5,a b,22,no,de bian\n"
    )

    assert refusal(tmp_path, "csv", "hosts.csv") == [
        'hosts.csv:2, column port: "22a" is no whole number',
        'hosts.csv:3, column critical: "perhaps" is neither true nor false',
        "hosts.csv:3, column port: 99999 is out of range; it must be at most 65535",
        "hosts.csv:4: has 4 cells, the first row has 5; is a sign unquoted?",
        "hosts.csv:5, column name: \"=cmd|' /C calc'!A0\": a name is at most 63 letters, digits, "
        "'-', '_' and '.', and begins with a letter or digit",
        'hosts.csv:6, column address: "a b": no host name or IP address',
        "hosts.csv:6, column label:os: \"de bian\": a label's value is letters, digits, '-', '_' "
        "and '.', and begins and ends plainly",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name,critcal\nweb1,yes\n", 'hosts.csv:1: unknown column "critcal"; did you mean'),
        (b"name,port,port\n", 'hosts.csv:1: column "port" is here twice'),
        (b"host,port\n", "hosts.csv:1: has no column name"),
        (b"", "hosts.csv:1: has no column name"),
        (b"name,address\n", "holds no host, and empty is not everything"),
        (b"name,address\nweb1,\xff\n", "hosts.csv:2: is not UTF-8 text"),
        (b'name,address\n"web1,a\n', "hosts.csv:2: is no CSV: unexpected end of data"),
        (b"sep=;\nname;critcal\n", 'hosts.csv:2: unknown column "critcal"; did you mean'),
        (b"name," + b"x," * 30 + b"x\n", "hosts.csv:1: and 21 more unknown columns"),
        (
            b"name,label:os,address,labels\nweb1,debian,192.0.2.11,device=server;os=ubuntu\n",
            'hosts.csv:2, column labels: says os="ubuntu", and column label:os says os="debian"; '
            "keep one of them",
        ),
    ],
)
def test_a_csv_that_could_be_misread_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "hosts.csv").write_bytes(content)

    assert any(words in line for line in refusal(tmp_path, "csv", "hosts.csv"))


@pytest.mark.parametrize("sign", ["\u2028", "\x85", "\x0b", "\x1c", "\u2029", "\x0c"])
def test_rows_are_counted_as_editors_count_them(tmp_path: Path, sign: str) -> None:
    rows = f'name,label:note,port\nweb1,a{sign}b,22\nweb2,"two\nlines",22\nweb3,ok,22a\n'
    (tmp_path / "hosts.csv").write_text(rows)
    found = READERS["csv"]()(tmp_path / "hosts.csv", "hosts.csv")

    assert [fault.spot for fault in found.faults] == ["hosts.csv:5, column port"]
    assert [host.spot for host in found.hosts] == ["hosts.csv:2", "hosts.csv:3", "hosts.csv:5"]


def test_a_line_that_tells_a_spreadsheet_the_separator_is_followed(tmp_path: Path) -> None:
    (tmp_path / "hosts.csv").write_text("sep=;\r\nname;address\r\nweb1;192.0.2.11\r\n", newline="")

    assert fleet_of(tmp_path, "csv", "hosts.csv").host("web1").address == "192.0.2.11"


@pytest.mark.parametrize("kind", ["csv", "netbox", "ssh_config"])
def test_a_file_that_is_no_list_of_hosts_is_not_shown(tmp_path: Path, kind: str) -> None:
    (tmp_path / "secret").write_text("root:$y$j9T$F5Jx5fExrKuPp53xLKQ..1,x:19000\n")
    found = refusal(tmp_path, kind, "secret")

    assert found != []
    assert not any("root" in line or "j9T" in line for line in found)


def test_a_byte_order_mark_and_other_separators_are_no_trouble(tmp_path: Path) -> None:
    rows = "\ufeffname\taddress\tlabels\r\nweb1\t192.0.2.11\tos=debian;device=server\r\n\r\n"
    (tmp_path / "hosts.csv").write_text(rows, newline="")

    assert fleet_of(tmp_path, "csv", "hosts.csv").host("web1").profile == "debian-server"


def test_a_host_named_twice_is_a_fault_that_names_both_places(tmp_path: Path) -> None:
    (tmp_path / "hosts.csv").write_text("name,address\nweb1,192.0.2.11\nweb1,192.0.2.12\n")
    own = "hosts:\n  - {name: web1, tenant: acme, address: 192.0.2.50}\n"
    found = refusal(tmp_path, "csv", "hosts.csv", own)

    line = (tmp_path / "fleet.yaml").read_text().splitlines().index(own.splitlines()[1]) + 1
    assert found == [
        f'hosts.csv:{row}, column name: "web1" is here twice (first on line {line}); names are '
        "unique"
        for row in (2, 3)
    ]


def test_a_source_that_is_missing_is_a_fault(tmp_path: Path) -> None:
    (found,) = refusal(tmp_path, "netbox", "gone.json")

    assert found == "gone.json: cannot be read: No such file or directory; check the path"


def test_the_ansible_inventory_of_a_public_project_imports_with_its_groups(
    tmp_path: Path,
) -> None:
    folder = case(tmp_path, "kolla")
    fleet = fleet_of(tmp_path, "ansible", f"{folder}/multinode")

    assert [host.name for host in fleet.hosts] == [
        "compute01", "control01", "control02", "control03", "localhost", "monitoring01",
        "network01", "network02", "storage01",
    ]  # fmt: skip
    assert fleet.host("localhost").transport == "local"
    groups = {group.name: group.hosts for group in fleet.groups}
    assert groups["other.control"] == ("control01", "control02", "control03")
    assert groups["other.mariadb"] == groups["other.control"]
    assert len(groups["other.baremetal"]) == 8
    assert len(groups) == 21
    assert {(group.scope, group.tenant) for group in fleet.groups} == {(Scope.CUSTOM, "acme")}


def test_ansible_variables_hold_by_ansibles_precedence(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, "ansible", case(tmp_path, "site"))
    web1, web2, web4 = (fleet.host(f"web0{n}.example.com") for n in (1, 2, 4))

    assert (web1.address, web1.port, web1.login) == ("web01.example.com", 22, "deploying")
    assert web1.window == "late"
    assert web2.address == "192.0.2.9"
    assert (web4.address, web4.port) == ("192.0.2.4", 2222)
    assert fleet.host("db-b.example.com").critical
    assert fleet.host("db-b.example.com").profile == "debian-server"
    assert {group.name: len(group.hosts) for group in fleet.groups} == {
        "other.db": 2, "other.europe": 6, "other.web": 4,
    }  # fmt: skip


def test_what_a_source_leaves_out_is_told_with_its_reason(tmp_path: Path) -> None:
    fleet_of(tmp_path, "ansible", case(tmp_path, "site"))
    (note,) = read_fleet(tmp_path / "fleet.yaml")[1]

    assert note.left_out == (
        "site/hosts.yaml:27, ansible_connection: host win1.example.com is reached by winrm, which "
        "is no way from here",
        "site/group_vars/web/vault.yml: is not read: encrypted with Ansible Vault",
    )
    assert note.ignored == (
        ("variable http_proxy", 1), ("variable nginx_workers", 1), ("variable secret", 2),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("web1 ansible_host='{{ ip }}'\n", "hosts:1, ansible_host: is a template"),
        ("web1 ansible_port=ssh\n", 'hosts:1, ansible_port: "ssh" is no whole number'),
        ("web1 ansible_user=nobody\n", 'hosts:1, ansible_user: logs in as "nobody", and one'),
        ("web1 wavemend_critcal=yes\n", 'did you mean "wavemend_critical"?'),
        ("web[1:\n", "hosts:1: 'web[1:' holds no range as web[01:50]"),
        ("web[9:1]\n", "hosts:1: '[9:1]' is an empty range"),
        ("web[1:999999999]\n", "hosts:1: makes more than 100000 hosts"),
        ("web1 'x\n", "hosts:1: cannot be read: No closing quotation"),
        ("[a:children]\nb\n[b:children]\na\n", "hosts: groups hold each other: "),
        ("[a:hostz]\nb\n", "hosts:1: [a:hostz] is no section"),
        ("#!/bin/sh\necho '{}'\n", "hosts: is a program, and nothing is executed"),
        ("plugin: aws_ec2\n", "hosts: is filled by a plugin"),
        ("all:\n  hosts:\n    web1:\n      ansible_host: !vault x\n", "is encrypted with Ansible"),
        ("all:\n  hosts:\n    web1: {<<: *x}\n", "hosts:3: is not valid YAML"),
        ("all:\n  vars: &v {a: 1}\n  children:\n    x:\n      vars: {<<: *v}\n", "merge keys"),
        ("all:\n  web1:\n", "hosts:1: group all holds web1"),
    ],
)
def test_an_ansible_inventory_that_cannot_be_read_for_sure_is_refused(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "hosts").write_text(text)
    found = refusal(tmp_path, "ansible", "hosts")

    assert any(words in line for line in found), found


def test_ranges_and_ports_of_an_ini_inventory_are_ansibles(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text(
        "; a comment\nn[1:5:2].example\nm[08:10]:2200 # three\n[fe80::1]:2222 ansible_host=::1\n"
        "[web]\nw[a:c]\n[web:vars]\nansible_port = 23\n"
    )
    found = READERS["ansible"]()(tmp_path / "hosts", "hosts")

    assert [(host.name, host.values.get("port")) for host in found.hosts] == [
        ("n1.example", None), ("n3.example", None), ("n5.example", None),
        ("m08", 2200), ("m09", 2200), ("m10", 2200), ("fe80::1", 2222),
        ("wa", 23), ("wb", 23), ("wc", 23),
    ]  # fmt: skip


def test_netbox_gives_its_active_machines_with_an_address(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, "netbox", case(tmp_path, "netbox.json"))
    web1 = fleet.host("web1")

    assert [host.name for host in fleet.hosts] == ["web1", "web2"]
    assert (web1.address, web1.critical, web1.tenant) == ("192.0.2.11", True, "acme")
    assert web1.labels == {
        "os": "debian", "platform": "debian-12", "ring": "pilot", "role": "web", "site": "muc",
        "tag/pilot": "yes",
    }  # fmt: skip
    assert fleet.host("web2").address == "2001:db8::2"
    (note,) = read_fleet(tmp_path / "fleet.yaml")[1]
    assert [line.partition(": ")[2] for line in note.left_out] == [
        "its status is decommissioning, not active",
        "it has no primary IP address",
        "it has no name",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"count": 900, "next": null, "results": []}', "holds 0 of 900 objects"),
        ('{"next": "http://n/?offset=50", "results": []}', "is one page of several"),
        ('{"results": [{"name"', "n.json:1: is no JSON, or only the beginning of it"),
        ('{"detail": "Invalid token"}', "is no list of NetBox"),
        ("[7]", "n.json, object 1: is no object of NetBox"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "holds no host, and empty is not everything"),
        (
            '[{"name": "a", "status": "active", "primary_ip": "1.2.3.4/8",'
            ' "custom_fields": {"wavemend_windw": "x"}}]',
            'n.json, object 1 (a): custom field "wavemend_windw" means nothing; did you mean',
        ),
    ],
)
def test_a_netbox_export_that_is_not_whole_is_refused(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "n.json").write_text(text)

    assert any(words in line for line in refusal(tmp_path, "netbox", "n.json"))


def test_an_ssh_configuration_gives_its_named_hosts(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, "ssh_config", case(tmp_path, "ssh_config"))

    assert [(host.name, host.address, host.port, host.login) for host in fleet.hosts] == [
        ("db1", "192.0.2.31", 22, "default"),
        ("web1", "192.0.2.11", 22, "default"),
        ("web2", "192.0.2.12", 2222, "default"),
    ]
    (note,) = read_fleet(tmp_path / "fleet.yaml")[1]
    assert note.ignored == (("IdentityFile", 1), ("ServerAliveInterval", 1))


@pytest.mark.parametrize("word", ["Match exec true", "Include other"])
def test_what_an_ssh_configuration_would_run_or_fetch_is_refused(tmp_path: Path, word: str) -> None:
    (tmp_path / "ssh_config").write_text(f"Host web1\n{word}\n")

    said = f"{word.partition(' ')[0]} is not read; write a file of Host entries for wavemend"
    assert refusal(tmp_path, "ssh_config", "ssh_config") == [f"ssh_config:2: {said}"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Host a b\n  HostName x%h\n  Port 22a\n", '3: Port: "22a" is no whole number; write a'),
        ("Host a\nHost *\n Port 65536\n", "3: Port: is out of range; write a number up to 65535"),
        ("Host a\nPort\n", "2: is no keyword with a value, as `Port 22`"),
        ('Host a\n\nUser "x y\n', "3: user cannot be read: No closing quotation"),
        ('Host a\nHost "b c"\n HostName x\n', '2: name: "b c": a name is at most 63 letters'),
    ],
)
def test_a_wrong_line_of_an_ssh_configuration_is_named_itself(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "ssh_config").write_text(text)
    (found,) = refusal(tmp_path, "ssh_config", "ssh_config")

    assert found.startswith(f"ssh_config:{words}")


def test_quoted_words_and_other_keywords_of_an_ssh_configuration_are_no_trouble(
    tmp_path: Path,
) -> None:
    (tmp_path / "ssh_config").write_text(
        'Host "web1"\n HostName="192.0.2.11"\n Port "2222"\n User "deploy"\n'
        "# a comment's quote\n PKCS11Provider none\n RemoteCommand echo it's\n"
    )
    host = fleet_of(tmp_path, "ssh_config", "ssh_config").host("web1")

    assert (host.address, host.port, host.login) == ("192.0.2.11", 2222, "deploying")


def test_the_same_files_give_the_same_digest_whatever_their_order(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    rows = ["web1,192.0.2.11\n", "web2,192.0.2.12\n"]
    for folder, order in ((first, rows), (second, rows[::-1])):
        folder.mkdir()
        (folder / "hosts.csv").write_text("name,address\n" + "".join(order))

    assert fleet_of(first, "csv", "hosts.csv").digest == fleet_of(second, "csv", "hosts.csv").digest
