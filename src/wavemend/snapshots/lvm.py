"""LVM: thin snapshots of a thin volume, merged back with the next activation."""

from dataclasses import dataclass

from pydantic import BaseModel, ValidationError

from wavemend.errors import HostAnswerInvalid
from wavemend.hosts import Host
from wavemend.packages import JobScript
from wavemend.policy.care import Place, RestorePointRule
from wavemend.snapshots import Command, Found, RestoreOnHost, Restoring, Subject
from wavemend.snapshots.listed import kept_thing

_ENV = ("env", "LC_ALL=C.UTF-8", "LANGUAGE=", "LVM_SUPPRESS_FD_WARNINGS=1")
_PATH = ("PATH=/usr/sbin:/sbin:/usr/bin:/bin",)


_MERGING = frozenset({"merging", "1"})
"""What lvs says of a volume that is merged into its origin, by word or, if so configured, in
numbers."""


class _Volume(BaseModel):
    lv_name: str
    """In brackets where LVM hides the volume, as it does with one that is to be merged."""
    lv_merging: str


class _Volumes(BaseModel):
    lv: list[_Volume]


class _Report(BaseModel):
    report: list[_Volumes]


@dataclass(frozen=True, slots=True)
class Lvm:
    """`restore_point.of` is a thin volume, `group/volume`."""

    rule: RestorePointRule

    @property
    def restores(self) -> str:
        """Say what a merge does."""
        return (
            f"the whole volume {self.rule.of}, by merging its snapshot at the next boot: what was "
            "written to it since is lost for good, the journal of this change too; other volumes, "
            "such as a separate /boot, stay as they are"
        )

    def create(self, subject: Subject) -> Command:
        """Without a size lvcreate makes a thin snapshot, or refuses: a full one would fill up."""
        volume = self._volume(subject.host)
        return _ask("make a thin snapshot", "lvcreate", "-s", "-n", subject.name, volume)

    def listing(self, host: Host) -> Command:
        """The snapshots of this volume, also the one that its next activation merges."""
        group, _, name = self._volume(host).partition("/")
        fields = ("-o", "lv_name,lv_merging")
        select = ("-a", "-S", f'origin="{name}"', "--reportformat", "json", *fields)
        return _ask("list thin snapshots", "lvs", *select, group)

    def read(self, text: str) -> tuple[Found, ...]:
        """Read lvs' JSON report."""
        try:
            report = _Report.model_validate_json(text)
        except ValidationError as error:
            raise HostAnswerInvalid("lvs did not answer with its JSON report") from error
        return tuple(
            Found(name=row.lv_name.strip("[]"), going=row.lv_merging in _MERGING)
            for part in report.report
            for row in part.lv
        )

    def remove(self, host: Host, found: Found) -> Command:
        """Remove the snapshot alone."""
        return _ask("remove a thin snapshot", "lvremove", "-y", self._point(host, found))

    def restoring(self, subject: Subject, found: Found) -> Restoring:
        """Ask for the merge; a volume in use is merged when it is activated next."""
        words = (*_ENV, *_PATH, "lvconvert", "--merge", self._point(subject.host, found))
        script = JobScript(text='exec "$@"\n', args=words)
        return RestoreOnHost(script=script, restarts=True, uses_up=True)

    def _volume(self, host: Host) -> str:
        part = r"[A-Za-z0-9_+.][A-Za-z0-9_+.-]{0,126}"
        what = "a volume, group/volume"
        return kept_thing(self.rule, host, default="", form=f"{part}/{part}", what=what)

    def _point(self, host: Host, found: Found) -> str:
        return f"{self._volume(host).partition('/')[0]}/{found.name}"


def _ask(title: str, *words: str) -> Command:
    return Command(title=title, place=Place.HOST, argv=(*_ENV, *_PATH, *words))
