"""What a restore point's tool asks a Windows host: a script at once, or one as a task of SYSTEM."""

import json

from wavemend.snapshots import Command, Said, WindowsScript
from wavemend.transport import Transport
from wavemend.windows.calling import call, worker_text
from wavemend.windows.jobs import Standing, WindowsJob, start_windows_job, wait_for

_START_SECONDS = 120.0

_WORDS = 300
"""Characters of a job's last words that go into a reason."""


def by_script(transport: Transport, command: Command, script: WindowsScript, token: str) -> Said:
    """Run a command's script; `token`: fresh, unguessable, names its job where it is one.

    Raises a TransportError when no answer in form came; a job may be at work then, and whoever
    lists the points finds what it has made.
    """
    if not script.as_job:
        params = json.loads(command.stdin)
        answer = call(transport, script.name, params, deadline=command.seconds)
        return Said(text=json.dumps(answer))
    job_id = f"{script.name}-{token}"
    start_windows_job(
        transport,
        job_id,
        kind=script.name,
        worker=worker_text(script.name),
        params=command.stdin.decode(),
        nonce=token,
        mutating=False,
        deadline=_START_SECONDS,
    )
    job = wait_for(transport, job_id, nonce=token, deadline=command.seconds)
    trouble = _trouble(job, token)
    return Said(trouble=f"{command.title}: {trouble}" if trouble else "")


def _trouble(job: WindowsJob, nonce: str) -> str:
    """Say why a job's end is no good one; empty when it is."""
    standing = job.standing(nonce)
    if standing is not Standing.ENDED:
        return f"its end was not seen: {standing}"
    if job.exit_status == 0:
        return ""
    lines = [line.strip() for line in job.log.decode(errors="replace").splitlines()]
    said = next((line for line in reversed(lines) if line), "")
    return f"exit status {job.exit_status}: {said[:_WORDS]}"
