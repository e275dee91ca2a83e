"""The install worker of a played host: one update per operation, as the real worker does it."""

from datetime import datetime

from tests.windows_host.chocolatey import new_item, upgrade_all
from tests.windows_host.machine import Machine
from tests.windows_host.parts import Update
from tests.windows_host.searching import ZERO, offered, search_error
from tests.windows_host.servicing import FAILED, SUCCEEDED, supersede
from tests.windows_host.state import Effect
from tests.windows_host.story import Document, Story

BUSY_SECONDS = 600
DEFINITIONS = "KB2267602"


def install(story: Story, params: Document) -> None:
    """Tell the course of an installation."""
    machine = story.machine
    approved, packages = params["approved"], params["packages"]
    assert isinstance(approved, list)
    assert isinstance(packages, list)
    rows = [new_item(package) for package in packages]
    story.items = [*(_new_item(wanted["update_id"]) for wanted in approved), *rows]
    story.takes(max(0.0, machine.state.servicing_until - machine.clock.work()))
    result: Document = {
        "os_before": machine.os(),
        "os_after": machine.os(),
        "reboot_required_before": _needs_restart(machine),
    }
    if machine.state.free_bytes < int(str(params["min_free_mb"])) * 1024**2:
        for item in story.items:
            item.update(state="skipped", reason="no_space")
        story.end("no_space", result)
        return
    if approved:
        story.tell("search")
        story.takes(machine.state.wua.search_seconds)
        if error := search_error(machine, params):
            story.throw(f"nothing was installed, the search failed: {error}", result)
            return
    course = _Course(story, params)
    course.install(approved)
    story.items += rows
    upgrade_all(story, rows, deadline=course.is_late, go_on=bool(params["continue_on_error"]))
    result["os_after"] = {**machine.os(), "build": course.build}
    story.end(_final_state(story), result)


def _needs_restart(machine: Machine) -> bool:
    """Say whether servicing waits for a restart: a new name or a domain keep nothing from it."""
    return any(
        reason.startswith("cbs_") or reason == "wu_reboot_required"
        for reason in machine.state.hard_reasons
    )


def _new_item(update_id: str) -> Document:
    return {
        "update_id": update_id,
        "title": "",
        "kb": "",
        "state": "pending",
        "result_code": None,
        "hresult": "",
        "reboot_required": False,
        "reason": "",
        "seconds": 0,
    }


def _final_state(story: Story) -> str:
    reasons = {item["reason"] for item in story.items}
    if "reboot_first" in reasons:
        return "blocked_reboot"
    if "deadline" in reasons:
        return "deadline"
    return story.outcome()


class _Course:
    """The approved updates, one after the other."""

    def __init__(self, story: Story, params: Document) -> None:
        self.story = story
        self.params = params
        self.failed = False
        self.reboot_first = _needs_restart(story.machine)
        self.build = story.machine.state.os.build
        deadline = str(params["deadline_utc"])
        self._deadline = datetime.fromisoformat(deadline).timestamp() if deadline else None

    def is_late(self) -> bool:
        """True once nothing new may begin."""
        return self._deadline is not None and self.story.now >= self._deadline

    def install(self, approved: list[dict[str, object]]) -> None:
        """Install what is approved and offered, what must be alone first."""
        machine = self.story.machine
        for wanted in approved:
            update = machine.update(str(wanted["update_id"]))
            if update is not None and update.vanishes_at_install:
                supersede(machine, update)
        here = {item.update_id: item for item in offered(machine, str(self.params["criteria"]))}
        work = [(_new_item(str(wanted["update_id"])), wanted) for wanted in approved]
        work.sort(key=lambda pair: not _is_exclusive(here.get(str(pair[0]["update_id"]))))
        self.story.items = [item for item, _ in work]
        for item, wanted in work:
            self._take(item, wanted, here.get(str(item["update_id"])))

    def _take(self, item: Document, wanted: dict[str, object], update: Update | None) -> None:
        if update is not None:
            item.update(title=update.title, kb=update.kb[0] if update.kb else "")
        reason = self._skipped(wanted, update)
        if reason or update is None:
            item.update(state="skipped", reason=reason)
            return
        self._install(item, update)

    def _skipped(self, wanted: dict[str, object], update: Update | None) -> str:
        if update is None:
            return "not_offered"
        if update.revision != wanted["revision"]:
            return "revision_changed"
        if self.is_late():
            return "deadline"
        if self.reboot_first and DEFINITIONS not in update.kb:
            return "reboot_first"
        if self.failed and not self.params["continue_on_error"]:
            return "stopped"
        if update.can_request_input:
            return "needs_user_input"
        return "" if update.eula_accepted or self.params["accept_eula"] else "eula"

    def _install(self, item: Document, update: Update) -> None:
        story, began = self.story, self.story.after
        words = f"{item['kb']} {update.title}"
        step: str = (
            "" if update.failures >= 0 and update.tries >= update.failures else update.fails_at
        )
        item["state"] = "downloading"
        story.tell("install", current=words)
        story.takes(update.download_seconds)
        if step != "download" and self.is_late():
            item.update(state="skipped", reason="deadline")
            return
        if step != "download":
            item["state"] = "installing"
            story.tell("install", current=words)
            step = "busy" if story.machine.state.wua.busy else step
            story.takes(BUSY_SECONDS if step == "busy" else update.install_seconds)
        item["seconds"] = int(story.after - began)
        if step:
            self._fail(item, update, step)
        else:
            self._succeed(item, update)

    def _succeed(self, item: Document, update: Update) -> None:
        definitions = DEFINITIONS in update.kb
        item.update(state="succeeded", result_code=SUCCEEDED, hresult="" if definitions else ZERO)
        item["reboot_required"] = update.reboot
        self.story.reboot_required = self.story.reboot_required or update.reboot
        self.reboot_first = self.reboot_first or (update.exclusive and update.reboot)
        if update.build and not update.reboot:
            self.build = update.build
        effect = Effect(do="installed", subject=update.update_id)
        self.story.tell("install", current=update.title, effects=(effect,))

    def _fail(self, item: Document, update: Update, step: str) -> None:
        self.failed = True
        effects = []
        if step == "busy":
            words = "install: another installer was at work for 10 minutes"
            item.update(state="failed", hresult="0x80131501", reason=words)
        else:
            item.update(state="failed", result_code=FAILED, hresult=update.hresult, reason=step)
            effects = [Effect(do="failed", subject=update.update_id, value=update.hresult)]
        self.story.tell("install", current=update.title, effects=effects)


def _is_exclusive(update: Update | None) -> bool:
    return update is not None and update.exclusive
