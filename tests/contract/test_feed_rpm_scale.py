"""A repository far larger than what may be in memory is read to its end."""

import hashlib
import tracemalloc
from pathlib import Path

from wavemend.feeds import FEEDS, Document
from wavemend.feeds.reading.documents import MIB
from wavemend.feeds.reading.repomd import MOST_ELEMENT_BYTES
from wavemend.testing.collected import Collected

ADVISORY = (
    '<update type="security"><id>ALSA-2026:{number}</id><title>an update</title>'
    "<description>{text}</description><pkglist><collection>"
    '<package name="bash" epoch="0" version="1.{number}" release="1.el9" arch="x86_64"/>'
    "</collection></pkglist></update>"
)
COUNT = 48
REPOMD = (
    '<repomd><revision>1784024265</revision><data type="updateinfo"><checksum type="sha256">'
    '{checksum}</checksum><location href="repodata/updateinfo.xml"/></data></repomd>'
)


def test_advisories_of_fifty_megabytes_need_the_memory_of_one(tmp_path: Path) -> None:
    home = "almalinux-9/os/repodata"
    (tmp_path / home).mkdir(parents=True)
    updateinfo = tmp_path / home / "updateinfo.xml"
    with updateinfo.open("w", encoding="utf-8") as file:
        file.write("<updates>")
        for number in range(COUNT):
            file.write(ADVISORY.format(number=number, text="words " * (MIB // 6)))
        file.write("</updates>")
    assert updateinfo.stat().st_size > MOST_ELEMENT_BYTES
    checksum = hashlib.sha256(updateinfo.read_bytes()).hexdigest()
    (tmp_path / home / "repomd.xml").write_text(REPOMD.format(checksum=checksum), encoding="utf-8")
    names = (f"{home}/repomd.xml", f"{home}/updateinfo.xml")
    sink = Collected()

    tracemalloc.start()
    FEEDS["rpm"]().parse([Document(name=name, path=tmp_path / name) for name in names], sink)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (sink.entries, sink.taken, sink.rejects) == (COUNT, COUNT, [])
    assert peak < 16 * MIB
