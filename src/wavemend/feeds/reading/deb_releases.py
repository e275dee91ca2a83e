"""Codenames of the releases whose hosts report them, and what the deb feeds have in common."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from wavemend.feeds import Document
from wavemend.versions import deb_key

DEBIAN_CODENAMES: Mapping[str, str] = MappingProxyType(
    {"10": "buster", "11": "bullseye", "12": "bookworm", "13": "trixie", "14": "forky"}
)
"""Older ones are left out on purpose: Debian forgets their CVEs one by one, and a host that only
a few old advisories speak of would look clean instead of unknown."""

UBUNTU_CODENAMES: Mapping[str, str] = MappingProxyType(
    {
        "14.04": "trusty",
        "16.04": "xenial",
        "18.04": "bionic",
        "20.04": "focal",
        "20.10": "groovy",
        "21.04": "hirsute",
        "21.10": "impish",
        "22.04": "jammy",
        "22.10": "kinetic",
        "23.04": "lunar",
        "23.10": "mantic",
        "24.04": "noble",
        "24.10": "oracular",
        "25.04": "plucky",
        "25.10": "questing",
        "26.04": "resolute",
        "26.10": "stonking",
    }
)
"""Every release of a line with paid maintenance, and the short-lived ones since 2020."""

OTHER_RELEASE = "other ecosystem or release"


def version_trouble(version: str) -> str:
    """Say why dpkg would not accept a version; empty: it does."""
    try:
        deb_key(version)
    except ValueError as error:
        return str(error)
    return ""


def document_time(document: Document) -> datetime:
    """Return a document's time of change, for documents that carry no date of their own.

    It is the file's: whoever stores the document gives it the time the server or folder said.
    """
    return datetime.fromtimestamp(document.path.stat().st_mtime, UTC)
