"""How a host that is set up wrongly fails: too few rights, a stopped service, a locked language."""

from tests.windows_host.state import Fault, HostState

_NEEDS_NO_RIGHTS = frozenset({"boot", "echo"})
_NEEDS_SCHEDULER = frozenset(
    {"boot", "clean_jobs", "facts", "forbid_job", "job_status", "start_job"}
)


def refusal(state: HostState, script: str) -> Fault | None:
    """Return how a script fails here; None: it does not."""
    if state.winrm.language_mode != "FullLanguage":
        return Fault(script=script, how="no_result")
    if state.winrm.token != "full" and script not in _NEEDS_NO_RIGHTS:
        denied = "Access is denied."
        return Fault(script=script, how="error", hresult="0x80070005", message=denied)
    if not state.scheduler_running and script in _NEEDS_SCHEDULER:
        stopped = "The Task Scheduler service is not running."
        return Fault(script=script, how="error", hresult="0x80041315", message=stopped)
    return None
