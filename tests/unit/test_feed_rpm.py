"""Updateinfo is read only as its repository vouches for it, and every package row is counted."""

import gzip
import hashlib
import lzma
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.rpm_site import Site
from wavemend.advisories import Advisory, AdvisoryStatus, UpdateClass
from wavemend.errors import FeedError, FeedRejected
from wavemend.feeds import FEEDS, Document
from wavemend.feeds.reading.repomd import MOST_ELEMENT_BYTES
from wavemend.testing.collected import Collected
from wavemend.versions import Scheme

CASES = Path(__file__).parents[1] / "cases" / "feeds" / "rpm"
FEED = FEEDS["rpm"]()
HOME = "almalinux-9/os/"
MADE = 1_784_024_265
"""Tuesday, 14 July 2026."""


def documents(root: Path) -> list[Document]:
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    return [Document(name=name, path=root / name) for name in names if FEED.accepts(name)]


def read(root: Path) -> Collected:
    sink = Collected()
    FEED.parse(documents(root), sink)
    assert sink.balanced
    return sink


def repomd(parts: Mapping[str, tuple[str, bytes]], *, revision: str = str(MADE)) -> str:
    data = "".join(
        f'<data type="{kind}"><checksum type="sha256">{hashlib.sha256(body).hexdigest()}</checksum>'
        f'<location href="repodata/{name}"/><size>{len(body)}</size></data>'
        for kind, (name, body) in parts.items()
    )
    space = "http://linux.duke.edu/metadata/repo"
    return f'<repomd xmlns="{space}"><revision>{revision}</revision>{data}</repomd>'


def repository(root: Path, updates: str, *, modules: str = "", home: str = HOME) -> Path:
    """Write a repository whose updateinfo holds `updates`; return the folder of its metadata."""
    parts = {"updateinfo": ("updateinfo.xml.gz", gzip.compress(updates.encode(), mtime=0))}
    if modules:
        parts["modules"] = ("modules.yaml.xz", lzma.compress(modules.encode()))
    folder = root / home / "repodata"
    folder.mkdir(parents=True)
    for name, body in parts.values():
        (folder / name).write_bytes(body)
    (folder / "repomd.xml").write_text(repomd(parts), encoding="utf-8")
    return folder


def package(name: str, release: str = "1.el9", arch: str = "x86_64", inside: str = "") -> str:
    return (
        f'<package name="{name}" epoch="0" version="1.0" release="{release}" arch="{arch}">'
        f"{inside}</package>"
    )


def update(
    *packages: str,
    identifier: str = "ALSA-2026:1",
    kind: str = "security",
    status: str = "final",
    title: str = "an update",
    module: str = "",
) -> str:
    return (
        f'<update status="{status}" type="{kind}"><id>{identifier}</id><title>{title}</title>'
        '<issued date="2026-07-01 10:00:00"/><severity>Important</severity><references>'
        '<reference id="CVE-2026-0001" type="cve"/><reference id="CVE-2026-0001" type="cve"/>'
        f"</references><pkglist><collection>{module}{''.join(packages)}</collection></pkglist>"
        "</update>"
    )


def updates(*each: str) -> str:
    return f"<updates>{''.join(each)}</updates>"


def test_an_advisory_says_which_version_of_an_installed_package_is_the_fixed_one() -> None:
    sink = read(CASES / "whole")

    said = {(item.release, item.package): item for item in sink.advisories}
    name = "106ba7d2cc8d0ba45aebfe29e32dbbc6ac0bb0378413184d62e6198d13fedb76-updateinfo.xml.gz"
    assert said["almalinux-9", "xz"] == Advisory(
        id="ALSA-2022:4940",
        feed="rpm",
        document=f"almalinux-9/BaseOS/x86_64/os/repodata/{name}",
        release="almalinux-9",
        package="xz",
        fixed_version="5.2.5-8.el9_0",
        status=AdvisoryStatus.FIXED,
        cves=("CVE-2022-1271",),
        scheme=Scheme.RPM,
        by_source=False,
        arch="x86_64",
        update_class=UpdateClass.SECURITY,
        summary="Important: xz security update",
        urgency="important",
        published=datetime(2022, 6, 8, tzinfo=UTC),
    )
    assert said["almalinux-9", "nodejs"].fixed_version == "1:18.18.2-1.el9"
    curl = said["rocky-9", "curl"]
    assert (curl.update_class, curl.urgency, curl.cves) == (UpdateClass.BUGFIX, "", ())
    assert (sink.entries, sink.taken, sink.rejects, sink.flaws) == (6, 6, [], [])


def test_a_modular_build_carries_the_stream_modules_yaml_names_it_in() -> None:
    (mariadb,) = (item for item in read(CASES / "whole").advisories if item.package == "mariadb")

    assert mariadb.module == "mariadb:10.5"
    assert mariadb.fixed_version == "3:10.5.16-2.module+el9.1.0+13358+56c3b6a3"


def test_the_feed_is_as_old_as_the_release_that_stood_still_the_longest(tmp_path: Path) -> None:
    heading = FEED.parse(documents(CASES / "whole"), Collected())

    # AlmaLinux: BaseOS at 1784024265, AppStream before; Rocky: both two days later.
    assert heading.data_date == datetime.fromtimestamp(MADE, UTC)
    assert heading.coverage["fixed_version"] == 6


@pytest.mark.parametrize(
    ("own", "collection", "title", "modules"),
    [
        ('<module name="nodejs" stream="18"/>', "", "x", ["nodejs:18"]),
        ("", '<module name="nodejs" stream="18" version="9"/>', "x", ["nodejs:18"]),
        ("", "", "Important: nodejs:18 security update", ["nodejs:18"]),
        ("", "", "Low: virt:rhel and virt-devel:rhel update", ["virt:rhel", "virt-devel:rhel"]),
        ("", "", "ALSA-2022:5468: php:8.0 security update (Important)", ["php:8.0"]),
    ],
)
def test_a_modular_build_is_said_of_the_streams_its_advisory_names(
    own: str, collection: str, title: str, modules: list[str], tmp_path: Path
) -> None:
    row = package("nodejs", "1.module+el9.4.0+1", inside=own)
    repository(tmp_path, updates(update(row, title=title, module=collection)))

    sink = read(tmp_path)

    assert [item.module for item in sink.advisories] == modules
    assert sink.taken == 1


def test_a_modular_build_of_an_unknown_stream_is_never_compared_outside_of_modules(
    tmp_path: Path,
) -> None:
    repository(tmp_path, updates(update(package("nodejs", "1.module_el9.4.0+1"), package("bash"))))

    sink = read(tmp_path)

    assert [item.package for item in sink.advisories] == ["bash"]
    assert [item.reason for item in sink.rejects] == [
        "a modular build whose module stream is named nowhere"
    ]


def test_streams_stay_texts_and_a_damaged_module_spoils_no_other(tmp_path: Path) -> None:
    modules = (
        "---\ndocument: modulemd\ndata: {name: go, stream: 1.10, artifacts: {rpms: "
        "['go-0:1.0-1.module+el9.x86_64']}}\n...\n---\ndocument: modulemd\ndata: [\n...\n"
        "---\ndocument: modulemd-defaults\ndata: {module: go}\n"
        "---\ndocument: modulemd\ndata: {name: php}\n"
    )
    repository(tmp_path, updates(update(package("go", "1.module+el9"))), modules=modules)

    sink = read(tmp_path)

    assert [item.module for item in sink.advisories] == ["go:1.10"]
    assert len(sink.flaws) == 2
    assert sink.flaws[1].reason == "a module without a name or a stream"


def test_every_architecture_is_kept_and_sources_and_repetitions_are_counted(tmp_path: Path) -> None:
    rows = [package("bash", arch=arch) for arch in ("x86_64", "i686", "src", "nosrc", "x86_64")]
    newer = package("bash", release="2.el9")
    repository(tmp_path, updates(update(*rows, newer)))

    sink = read(tmp_path)

    assert [(item.arch, item.fixed_version) for item in sink.advisories] == [
        ("x86_64", "1.0-1.el9"),
        ("i686", "1.0-1.el9"),
        ("x86_64", "1.0-2.el9"),
    ]
    assert sink.skipped == {
        "a source package: no host installs it": 2,
        "the same statement twice in one advisory": 1,
    }


@pytest.mark.parametrize(
    ("kind", "update_class", "flaws"),
    [
        ("bugfix", UpdateClass.BUGFIX, 0),
        ("enhancement", UpdateClass.ENHANCEMENT, 0),
        ("newpackage", UpdateClass.ENHANCEMENT, 0),
        ("recommended", UpdateClass.BUGFIX, 0),
        ("mystery", UpdateClass.SECURITY, 1),
    ],
)
def test_an_update_is_for_what_its_vendor_says_and_with_cves_for_security(
    kind: str, update_class: UpdateClass, flaws: int, tmp_path: Path
) -> None:
    repository(tmp_path, updates(update(package("bash"), kind=kind)))

    sink = read(tmp_path)

    assert [item.update_class for item in sink.advisories] == [update_class]
    assert sink.advisories[0].cves == ("CVE-2026-0001",)
    assert len(sink.flaws) == flaws


def test_what_was_taken_back_and_what_names_no_package_is_counted(tmp_path: Path) -> None:
    gone = update(package("bash"), package("zsh"), status="retracted", identifier="SUSE-2026-1")
    repository(tmp_path, updates(gone, update(identifier="ALSA-2026:2")))

    sink = read(tmp_path)

    assert sink.advisories == []
    assert sink.skipped == {
        "an advisory its vendor took back": 2,
        "an advisory that names no package": 1,
    }


def test_rows_that_mean_nothing_are_rejected_one_by_one(tmp_path: Path) -> None:
    odd = '<package name="zsh" version="1 0" release="1" arch="x86_64"/>'
    nameless = '<package version="1.0" release="1" arch="x86_64"/>'
    repository(tmp_path, updates(update(odd, nameless, package("bash"))))

    sink = read(tmp_path)

    assert [item.package for item in sink.advisories] == ["bash"]
    assert "'1 0-1' is not an RPM version" in sink.rejects[0].reason
    assert sink.rejects[1].reason == "a package row without a name"


def test_an_advisory_without_a_usable_id_is_rejected_and_named(tmp_path: Path) -> None:
    (reject,) = read(
        shutil.copytree(CASES / "badid" / "almalinux-9", tmp_path / "almalinux-9").parent
    ).rejects

    assert "'NOT-A-VALID-ADVISORY-ID'" in reject.reason


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("badid/rocky-9", "has no checksum that can be relied on: 'sha256' 'badid'"),
        ("corruptcrc/almalinux-9", "damaged gzip data"),
        ("without/almalinux-10", "no repository in it has an updateinfo"),
    ],
)
def test_a_repository_that_cannot_vouch_for_its_advisories_is_refused(
    folder: str, why: str, tmp_path: Path
) -> None:
    release = folder.rpartition("/")[2]
    shutil.copytree(CASES / folder, tmp_path / release)

    with pytest.raises(FeedRejected, match=why):
        FEED.parse(documents(tmp_path), Collected())


def test_one_changed_byte_in_updateinfo_refuses_the_feed(tmp_path: Path) -> None:
    folder = repository(tmp_path, updates(update(package("bash"))))
    body = bytearray((folder / "updateinfo.xml.gz").read_bytes())
    body[4] ^= 1  # the time inside the gzip header: still the same document when unpacked
    (folder / "updateinfo.xml.gz").write_bytes(body)

    with pytest.raises(FeedRejected, match=r"has sha256 .* where repomd\.xml says"):
        FEED.parse(documents(tmp_path), Collected())


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("<size>", "<size>1", "bytes where repomd.xml says 1"),
        ('type="sha256"', 'type="sha"', "has no checksum that can be relied on: 'sha'"),
        ("repodata/updateinfo.xml.gz", "repodata/gone.xml.gz", "is missing, and repodata/repomd"),
        ("repodata/updateinfo.xml.gz", "../../x.xml.gz", "has no place inside the repository"),
        ("repodata/updateinfo.xml.gz", "https://x.example/y", "has no place inside the repository"),
        ("repodata/updateinfo.xml.gz", "repodata/u.xml.zst", "is compressed with zstd"),
        ("repomd", "other", "is 'other', where 'repomd' must be"),
    ],
)
def test_a_table_of_contents_that_does_not_fit_is_refused(
    old: str, new: str, why: str, tmp_path: Path
) -> None:
    folder = repository(tmp_path, updates(update(package("bash"))))
    text = (folder / "repomd.xml").read_text("utf-8")
    (folder / "repomd.xml").write_text(text.replace(old, new), encoding="utf-8")

    with pytest.raises(FeedRejected, match=why):
        FEED.parse(documents(tmp_path), Collected())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<updates><update>", "is not the XML it should be"),
        ("<oval_definitions/>", "is 'oval_definitions', where 'updates' must be"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><updates>&b;</updates>', "DTDForbidden"),
        (f"<updates>{'<a>' * 100}", "nests elements more than 32 deep"),
        (f"<updates><update>{'x' * (MOST_ELEMENT_BYTES + 20_000)}", "an element of more than"),
    ],
    ids=["cut off", "another root", "entities", "deep", "one huge element"],
)
def test_xml_that_is_no_honest_updateinfo_is_refused(text: str, why: str, tmp_path: Path) -> None:
    folder = repository(tmp_path, text)
    # Not squeezed, or it would be refused as a bomb already.
    parts = {"updateinfo": ("updateinfo.xml", text.encode())}
    (folder / "updateinfo.xml").write_text(text, encoding="utf-8")
    (folder / "repomd.xml").write_text(repomd(parts), encoding="utf-8")

    with pytest.raises(FeedRejected, match=why):
        FEED.parse(documents(tmp_path), Collected())


def test_a_folder_must_be_named_after_a_release(tmp_path: Path) -> None:
    repository(tmp_path, updates(update(package("bash"))), home="BaseOS/os/")

    with pytest.raises(FeedRejected, match="named after the hosts' release"):
        FEED.parse(documents(tmp_path), Collected())


def test_files_of_an_older_state_of_a_repository_are_counted_and_not_read(tmp_path: Path) -> None:
    folder = repository(tmp_path, updates(update(package("bash"))))
    (folder / "0001-updateinfo.xml.gz").write_bytes(b"whatever")

    assert read(tmp_path).skipped == {
        "a file no repomd.xml names: of an older state of the repository": 1
    }


def test_a_repository_without_updateinfo_beside_others_is_counted(tmp_path: Path) -> None:
    repository(tmp_path, updates(update(package("bash"))))
    shutil.copytree(CASES / "without" / "almalinux-10", tmp_path / "almalinux-10")

    assert read(tmp_path).skipped == {
        "a repository without updateinfo: nothing is said of its packages": 1
    }


def test_only_the_metadata_of_repositories_are_documents_of_the_feed() -> None:
    taken = ["repodata/repomd.xml", "x/repodata/ab-updateinfo.xml.xz", "repodata/modules.yaml.gz"]
    left = ["repomd.xml", "x/repodata/primary.xml.gz", "org.almalinux.alsa-9.xml.bz2", "all.zip"]

    assert all(FEED.accepts(name) for name in taken)
    assert not any(FEED.accepts(name) for name in left)


URL = "https://mirror.example/9/os"


def site(tmp_path: Path, *answers: bytes) -> Site:
    made = repository(tmp_path / "made", updates(update(package("bash"))))
    pages = {f"{URL}/repodata/{path.name}": [path.read_bytes()] for path in made.iterdir()}
    pages[f"{URL}/repodata/updateinfo.xml.gz"][:0] = answers
    return Site(pages=pages, folder=tmp_path / "fetched")


def test_a_repository_is_fetched_from_its_table_of_contents_on(tmp_path: Path) -> None:
    mirror = site(tmp_path)

    FEED.download(f"almalinux-9={URL}/", mirror)

    assert mirror.asked == [f"{URL}/repodata/repomd.xml", f"{URL}/repodata/updateinfo.xml.gz"]
    (bash,) = read(mirror.folder).advisories
    assert (bash.release, bash.package) == ("almalinux-9", "bash")


def test_a_file_of_the_state_before_is_asked_for_once_more(tmp_path: Path) -> None:
    mirror = site(tmp_path, b"the old one")

    FEED.download(f"almalinux-9={URL}", mirror)

    assert read(mirror.folder).taken == 1


def test_a_mirror_that_stays_inconsistent_is_refused(tmp_path: Path) -> None:
    mirror = site(tmp_path, b"the old one", b"the old one")

    with pytest.raises(FeedRejected, match="damaged, or the mirror is being updated"):
        FEED.download(f"almalinux-9={URL}", mirror)


@pytest.mark.parametrize(
    "source",
    ["", URL, "almalinux-9=", "AlmaLinux=https://x.example/", f"almalinux-9={URL} rocky"],
)
def test_a_source_that_names_no_repository_says_how_to_write_one(
    source: str, tmp_path: Path
) -> None:
    with pytest.raises(FeedError, match="RELEASE=URL"):
        FEED.download(source, Site(pages={}, folder=tmp_path))


def test_the_same_repository_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="is named twice for almalinux-9"):
        FEED.download(f"almalinux-9={URL} almalinux-9={URL}/", site(tmp_path))


def test_there_is_no_default_repository() -> None:
    assert FEED.sources == ()
