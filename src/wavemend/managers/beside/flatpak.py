"""flatpak: applications and runtimes of the system's installation, by their exact commits."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from types import MappingProxyType

from wavemend.errors import PlanError
from wavemend.hosts import InstalledPackage, PendingUpdate, Repository
from wavemend.managers.beside.source import Additional, PlainLog, Source, offered_now
from wavemend.managers.reading.asking import Nonce, ask, fresh_nonce, refresh_seconds, script
from wavemend.managers.reading.judging import LogReader
from wavemend.managers.reading.sections import Section
from wavemend.managers.reading.system import lines_of
from wavemend.packages import JobScript, Target, Transaction
from wavemend.transport import Transport

_NOWHEN = datetime(1970, 1, 1, tzinfo=UTC)
_REF = re.compile(
    r"(?:(?P<kind>app|runtime)/)?(?P<id>[A-Za-z_][\w.-]*)/(?P<arch>[\w-]+)/(?P<branch>[\w.-]+)",
    re.ASCII,
)
_COMMIT = re.compile(r"[0-9a-f]{64}")
_LONGEST = 255

LOG = PlainLog(
    tool="flatpak",
    exits=MappingProxyType({0: "flatpak reports success", 1: "flatpak reports an error"}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ref:
    """One reference without its kind: `org.gimp.GIMP/x86_64/stable`."""

    id: str
    arch: str
    branch: str

    @property
    def place(self) -> str:
        """Return the architecture it stands under in facts and plans."""
        return f"flatpak/{self.arch}/{self.branch}"


def _ref(text: str) -> _Ref | None:
    found = _REF.fullmatch(text)
    if found is None:
        return None
    return _Ref(id=found["id"], arch=found["arch"], branch=found["branch"])


@dataclass(frozen=True, slots=True)
class FlatpakSource:
    """The source `flatpak`; see `source.Source` for what each part promises."""

    nonce: Nonce = fresh_nonce

    @property
    def name(self) -> str:
        """Return what its architectures begin with."""
        return "flatpak"

    @property
    def log(self) -> LogReader:
        """Return how its log is read."""
        return LOG

    def read(
        self, transport: Transport, host: str, *, refresh: bool, deadline: float
    ) -> Additional:
        """Look at the host in one round trip."""
        seconds = refresh_seconds(refresh=refresh, deadline=deadline)
        sections, _ = ask(
            transport,
            script("reading", "frame.sh") + script("beside", "flatpak_facts.sh"),
            host,
            _NOWHEN,
            args=(self.nonce(), str(seconds)),
            deadline=deadline,
        )
        if "refs" not in sections:
            return Additional()
        return _additional(sections, asked=refresh)

    def rehearse(
        self, transport: Transport, targets: Sequence[Target], *, deadline: float
    ) -> Transaction:
        """Say what would be done: an update takes exactly one commit and nothing beside it."""
        _words(targets)
        return offered_now(self, transport, targets, deadline=deadline)

    def apply_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job that deploys exactly these commits. Pure."""
        return JobScript(text=script("beside", "flatpak_change.sh").decode(), args=_words(targets))

    def undo_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the same job: an older commit is deployed like a newer one. Pure."""
        return self.apply_script(targets)


def _words(targets: Sequence[Target]) -> tuple[str, ...]:
    words: list[str] = []
    for target in sorted(targets):
        text = f"{target.name}/{target.arch.removeprefix('flatpak/')}"
        if _ref(text) is None or len(text) > _LONGEST:
            raise PlanError(f"{text!r} is not a flatpak's reference")
        if not _COMMIT.fullmatch(target.version):
            raise PlanError(f"{target.name}: {target.version!r} is not a flatpak's commit")
        words += (text, target.version)
    return tuple(words)


def _additional(sections: Mapping[str, Section], *, asked: bool) -> Additional:
    commits = dict(line.partition(" ")[::2] for line in lines_of(sections, "commits"))
    installed, errors = [], []
    shown: dict[str, str] = {}
    for line in sections["refs"].lines:
        text, _, rest = line.partition("\t")
        ref, version = _ref(text), rest.partition("\t")[2]
        if ref is None or not _COMMIT.fullmatch(commits.get(text, "")):
            errors.append(f"flatpak: {line[:200]!r} could not be read")
            continue
        shown[f"{ref.id}/{ref.arch}/{ref.branch}"] = version
        installed.append(
            InstalledPackage(
                name=ref.id,
                version=commits[text],
                arch=ref.place,
                source="flatpak",
                source_version=version,
            )
        )
    pending, unread = _pending(sections, installed)
    repositories, unreachable = _remotes(sections)
    failed = [
        f"flatpak {name} ended with {sections[name].status}: {'; '.join(sections[name].errors)}"
        for name in ("remotes", "refs", "commits", "masks")
        if name in sections and sections[name].status != 0
    ]
    return Additional(
        installed=tuple(sorted(installed, key=lambda item: (item.name, item.arch))),
        pending=pending,
        index_errors=(*failed, *unreachable, *errors, *unread),
        repositories=repositories if asked else (),
    )


def _pending(
    sections: Mapping[str, Section], installed: Sequence[InstalledPackage]
) -> tuple[tuple[PendingUpdate, ...], tuple[str, ...]]:
    here = {(item.name, item.arch): item for item in installed}
    masks = tuple(line.strip() for line in lines_of(sections, "masks"))
    updates, unread = [], []
    for remote in _remote_names(sections):
        versions = dict(
            line.partition("\t")[::2] for line in lines_of(sections, f"updates-{remote}")
        )
        for line in lines_of(sections, f"offers-{remote}"):
            text, _, said = line.partition(" ")
            ref, words = _ref(text), said.split()
            found = here.get((ref.id, ref.place)) if ref else None
            if ref is None or found is None or not words or not _COMMIT.fullmatch(words[0]):
                unread.append(f"flatpak: {line[:200]!r} could not be read")
                continue
            runtime = _ref(words[1]) if len(words) > 1 else None
            alone = runtime is not None and (runtime.id, runtime.place) not in here
            updates.append(
                PendingUpdate(
                    name=ref.id,
                    arch=ref.place,
                    installed=found.version,
                    candidate=words[0],
                    origin=" ".join(filter(None, (remote, versions.get(text, "").strip()))),
                    held=any(_masks(mask, text) for mask in masks),
                    kept_back=alone,
                )
            )
    return tuple(sorted(updates, key=lambda item: (item.name, item.arch))), tuple(unread)


def _masks(pattern: str, ref: str) -> bool:
    """Say whether `flatpak mask` means a reference: part by part, missing parts mean any."""
    kind, *parts = ref.split("/")
    wanted = pattern.split("/")
    if wanted[0] in {"app", "runtime"} and wanted.pop(0) != kind:
        return False
    return all(fnmatchcase(part, want) for part, want in zip(parts, wanted, strict=False) if want)


def _remote_names(sections: Mapping[str, Section]) -> tuple[str, ...]:
    lines = lines_of(sections, "remotes")
    return tuple(name for name in (line.partition("\t")[0] for line in lines) if name)


def _remotes(
    sections: Mapping[str, Section],
) -> tuple[tuple[Repository, ...], tuple[str, ...]]:
    """Return the remotes, and why those that cannot be asked cannot."""
    repositories, errors = [], []
    for line in lines_of(sections, "remotes"):
        name, _, options = line.partition("\t")
        asked = [sections[key] for key in (f"updates-{name}", f"offers-{name}") if key in sections]
        trouble = next((part for part in asked if part.status != 0), None)
        said = "; ".join(trouble.errors[-2:])[:300] if trouble else ""
        if trouble:
            errors.append(f"flatpak remote {name}: {said or f'ended with {trouble.status}'}")
        repositories.append(
            Repository(
                name=f"flatpak: {name}",
                reachable=trouble is None and bool(asked),
                signed="no-gpg-verify" not in options.split(","),
                detail=said,
            )
        )
    return tuple(sorted(repositories, key=lambda item: item.name)), tuple(errors)


FLATPAK: Source = FlatpakSource()
