"""What the feeds say: vulnerabilities, the vendors' advisories, and where each word came from.

Values and lookups only. A CVE that no feed scored is *unscored*, never 0; a CVE that no feed knows
is still a value. What each field means is decided by the feeds in `feeds/`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from wavemend.versions import Scheme


def cve_order(cve: str) -> tuple[int, int]:
    """Sort CVEs by number, not by text: CVE-2026-99999 comes before CVE-2026-116303."""
    _, _, rest = cve.partition("-")
    year, _, number = rest.partition("-")
    if year.isdecimal() and number.isdecimal():
        return int(year), int(number)
    return 9999, 0


def any_restart(words: Iterable[bool | None]) -> bool | None:
    """Return what several words on a restart come to: one yes is enough, a no beats silence."""
    said = set(words) - {None}
    return True in said if said else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cvss:
    """One published CVSS assessment, kept whole so that the choice can be questioned."""

    version: str
    """`4.0`, `3.1`, `3.0` or `2.0`. Numbers of different versions are not comparable."""
    vector: str
    score: float
    """0 to 10, as published; the computed one where only a vector was published."""
    computed_score: float | None
    """Base score recomputed from the vector; None where the vector cannot be read."""
    source: str
    """`nvd`, `cna:<who>`, `cisa-adp` or `distribution:<who>`."""

    @property
    def disputed(self) -> bool:
        """True when the published number does not follow from the published vector."""
        return self.computed_score is not None and abs(self.computed_score - self.score) >= 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Epss:
    """Probability of exploitation within 30 days, by FIRST's EPSS SIG."""

    probability: float
    percentile: float | None
    """Share of scored CVEs at or below this one; None in documents older than September 2021."""
    model: str
    """Probabilities of different models are not comparable: v5 moved every threshold overnight."""
    date: date


@dataclass(frozen=True, slots=True, kw_only=True)
class KevEntry:
    """One line of CISA's catalogue of known exploited vulnerabilities."""

    date_added: date
    due_date: date | None
    """A date for US federal agencies with an exposed asset; for us an input, earliest governs."""
    ransomware: bool | None
    """True: used by ransomware. None: not known. The catalogue never says no."""
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssvc:
    """CISA's answers to the SSVC questions; None where a question was not answered."""

    exploitation: str
    """`none`, `poc`, `active`, or empty."""
    automatable: bool | None
    impact_total: bool | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploit:
    """One public piece of evidence that a vulnerability can be exploited."""

    kind: str
    """`exploitdb`, `metasploit`, `nuclei`."""
    reference: str
    """The id or module inside that collection."""
    published: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vulnerability:
    """One CVE with everything the feeds said about it."""

    cve: str
    cvss: Cvss | None = None
    """Chosen from `cvss_candidates` by the written order in `choose_cvss`."""
    cvss_candidates: tuple[Cvss, ...] = ()
    epss: Epss | None = None
    kev: KevEntry | None = None
    kev_known: bool = True
    """False: no KEV catalogue was ever loaded, so `kev=None` does not mean "not exploited"."""
    ssvc: Ssvc | None = None
    exploits: tuple[Exploit, ...] = ()
    """Public evidence, sorted by kind and reference."""
    published: datetime | None = None
    summary: str = ""

    @property
    def unscored(self) -> bool:
        """True when there is neither a CVSS nor an EPSS score: unknown, not harmless."""
        return self.cvss is None and self.epss is None


class AdvisoryStatus(StrEnum):
    """What a vendor says about one package in one release."""

    FIXED = "fixed"
    """Fixed in `fixed_version`; everything older is affected."""
    NEEDS_SUBSCRIPTION = "needs_subscription"
    """Fixed in `fixed_version`, which only paying machines are offered (Ubuntu Pro, ELTS)."""
    UNFIXED = "unfixed"
    """Affected, and no fixed version exists (yet)."""
    WILL_NOT_FIX = "will_not_fix"
    """Affected, and the vendor says there will be no fix: end of life, or an accepted risk."""
    NOT_AFFECTED = "not_affected"


class UpdateClass(StrEnum):
    """What an update is for."""

    SECURITY = "security"
    BUGFIX = "bugfix"
    ENHANCEMENT = "enhancement"
    DEFINITION = "definition"
    """Signatures of a malware scanner."""
    DRIVER = "driver"
    FIRMWARE = "firmware"
    END_OF_LIFE = "end_of_life"
    """Not an update: the release or package gets none any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """A vendor's statement about one package in one of its releases."""

    id: str
    feed: str
    document: str
    """The document inside the feed, so that a person can read it."""
    release: str
    """One of a host's `release_keys`: a codename (`bookworm`), or `almalinux-9`, `sles-15.5`."""
    package: str
    """Source package where the vendor speaks of those (Debian, Ubuntu), else the installed one."""
    fixed_version: str | None
    status: AdvisoryStatus
    cves: tuple[str, ...]
    scheme: Scheme = Scheme.DEB
    """How the versions compare."""
    by_source: bool = True
    """True: `package` is a source package. False: it is an installed package's own name."""
    arch: str = ""
    """Only for installed packages of this architecture; empty: for all."""
    module: str = ""
    """Only inside this module stream, `nodejs:18`; empty: only outside of modules."""
    update_class: UpdateClass = UpdateClass.SECURITY
    summary: str = ""
    urgency: str = ""
    """The vendor's own word for how bad it is; it hardly ranks."""
    published: datetime | None = None
    """When the vendor published the statement or its fix."""
    unimportant: bool = False
    """The distribution says: no security impact in its build. Shown apart, but counted."""
    note: str = ""
    """What else a person must know: why there is no fix, which subscription."""
    restart: bool | None = None
    """Whether its host must restart for the fix; None: the vendor does not say, or `maybe`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """Until when a release, or one package in it, gets fixes from its vendor."""

    feed: str
    document: str
    release: str
    """One of a host's `release_keys`."""
    package: str = ""
    """Source package whose support ends before its release's; empty: the whole release."""
    ends: date | None
    """Last day with free security fixes. None: it ended on an unknown day, or see `ended`."""
    ended: bool = False
    """True where the vendor says "ended" without a day."""
    paid_ends: date | None = None
    """Last day with fixes for paying machines (ELTS, Pro, ESU)."""
    limited: bool = False
    """True: supported for some uses only, see `note`."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """One entry of a feed that could not be used, and why. Counted, never just left out."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSnapshot:
    """One accepted state of one feed. All times are UTC-aware."""

    feed: str
    source: str
    digest: str
    """SHA-256 over the stored documents; empty: nothing of this feed was ever accepted."""
    fetched_at: datetime | None
    """When these documents came, or were last confirmed unchanged."""
    data_date: datetime | None
    """The feed's own date."""
    model: str = ""
    count: int = 0
    coverage: tuple[tuple[str, int], ...] = ()
    """How many entries carry which field: a renamed key shows here before it hides a score."""
    skipped: tuple[tuple[str, int], ...] = ()
    """Entries that are not for us (another ecosystem, withdrawn), by reason."""
    rejects: tuple[Reject, ...] = ()
    """Entries that could not be used. `count` + skipped + rejects = `read`."""
    flaws: tuple[Reject, ...] = ()
    """Parts of used entries that could not be used: a vector that means nothing, a bad date."""
    read: int = 0
    """Entries in the documents."""
    stale: bool = False
    note: str = ""
    """Why the snapshot is stale or missing, in one sentence; empty when it is neither."""
    compiled: str = ""
    """SHA-256 of what was compiled from the documents: the file that decisions read."""
    kept: tuple[tuple[str, KevEntry], ...] = ()
    """Entries of KEV that stay in force although the catalogue took them back or softened them."""

    @property
    def rejected(self) -> int:
        """Entries that could not be used; of very many, `rejects` names only the first."""
        return self.read - self.count - sum(number for _, number in self.skipped)

    @property
    def missing(self) -> bool:
        """True when there is no accepted copy at all."""
        return not self.digest


@dataclass(frozen=True, slots=True, kw_only=True)
class CvssOrder:
    """Which of several CVSS assessments counts. Written down, so that the choice is no accident."""

    first: str = "version"
    """`version`: the tier of versions decides before the source. `source`: the other way round."""
    versions: tuple[tuple[str, ...], ...] = (("4.0", "3.1"), ("3.0",), ("2.0",))
    """Tiers, best first. Inside a tier and a source the newer version counts."""
    sources: tuple[str, ...] = ("nvd", "cna", "cisa-adp", "distribution")
    """Best first; a source that is not named comes last."""


DEFAULT_CVSS_ORDER = CvssOrder()


def choose_cvss(candidates: tuple[Cvss, ...], order: CvssOrder = DEFAULT_CVSS_ORDER) -> Cvss | None:
    """Choose by the written order; never the highest, never the first in a list.

    By default by tier (versions 4.0 and 3.1, then 3.0, then 2.0); inside a tier by source: NVD,
    CNA, CISA-ADP, distribution; inside a source the newer version. NVD often lists two that
    disagree.
    """
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    tiers = {version: tier for tier, names in enumerate(order.versions) for version in names}
    sources = {source: place for place, source in enumerate(order.sources)}
    version_first = order.first == "version"

    def place(candidate: Cvss) -> tuple[int, int, float, str, str, float]:
        source = sources.get(candidate.source.partition(":")[0], len(sources))
        tier = tiers.get(candidate.version, len(order.versions))
        # Equal in version and rank of source: the source's name decides, so that equal input
        # gives equal output whatever the order in the document.
        newest_first = -float(candidate.version) if candidate.version in tiers else 0.0
        first, second = (tier, source) if version_first else (source, tier)
        return first, second, newest_first, candidate.source, candidate.vector, -candidate.score

    return min(candidates, key=place)
