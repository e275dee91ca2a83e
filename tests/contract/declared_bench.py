"""What the tests of declared managers share: rollouts of one host, and doing and undoing a job."""

import secrets
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from tests.contract.attempt_bench import Bench, Fate
from wavemend.declarations import Declaration
from wavemend.execution.hands import Hands
from wavemend.execution.job_answers import JobState
from wavemend.execution.jobs import JobSpec, read_job, start_job
from wavemend.hosts import Facts, Host
from wavemend.inventory.manager_file import load_declaration
from wavemend.managers.declared import DeclaredManager
from wavemend.outcomes import PackageResult
from wavemend.packages import JobEnd, JobScript, Target
from wavemend.transport import Transport

EXAMPLES = Path(__file__).parents[2] / "examples/managers"


def example(name: str, folder: Path, **places: str) -> Declaration:
    """Return a shipped declaration, with places of the test instead of its own; `was=now` pairs."""
    text = (EXAMPLES / f"{name}.yaml").read_text()
    for was, now in places.items():
        text = text.replace(was, now)
    return declared(text, folder, name)


def declared(text: str, folder: Path, name: str = "mine") -> Declaration:
    """Return what a text declares."""
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return load_declaration(path, name)


@dataclass
class DeclaredBench(Bench):
    """A rollout of one host whose manager is a declared one."""

    manager: DeclaredManager = field(kw_only=True)

    def hands(self, fate: Fate | None = None) -> Hands:
        """Return the executor's means, with the declared manager."""
        return replace(super().hands(fate), manager=lambda _: self.manager)


def facts_of(manager: DeclaredManager, host: Host, transport: Transport) -> Facts:
    """Look at a host, now."""
    return manager.read_facts(host, transport, datetime.now(UTC), refresh=True, deadline=60)


def run_job(transport: Transport, script: JobScript) -> JobEnd:
    """Run a job to its end, as the executor does."""
    attempt, nonce = f"a-{secrets.token_hex(16)}", secrets.token_hex(16)
    spec = JobSpec(attempt_id=attempt, nonce=nonce, fence=10**6, script=script)
    view = start_job(transport, spec, deadline=60)
    for _ in range(200):
        if view.state is not JobState.RUNNING:
            break
        time.sleep(0.2)
        view = read_job(transport, attempt, nonce, deadline=60)
    assert view.state is JobState.ENDED, view
    return JobEnd(exit_status=view.exit_status, log=view.log)


def kept(manager: DeclaredManager, transport: Transport, *targets: Target) -> list[str]:
    """Return what the host says of old versions, `yes` or `no` for each."""
    script = manager.old_versions_script(targets)
    argv = ("/bin/sh", "-s", "--", *script.args)
    done = transport.run_as_root(argv, stdin=script.text.encode(), deadline=120)
    return done.stdout.decode().split()


def undo(
    manager: DeclaredManager, host: Host, transport: Transport, *targets: Target
) -> tuple[PackageResult, ...]:
    """Take items back to older versions; return what the second look says."""
    before = facts_of(manager, host, transport)
    end = run_job(transport, manager.undo_script(targets))
    return manager.judge(targets, before, facts_of(manager, host, transport), end)
