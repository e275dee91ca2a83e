"""The view of one company, which `WAVEMEND_TENANT` opens: which commands it has, and which not.

Closed unless opened: a command without a line in `ALLOWED` is refused in a view. What an allowed
one shows is cut down where it reads, by `here.ledger_here` (see ledger/view.py).
"""

from collections.abc import Mapping, Sequence

import cyclopts

from wavemend.cli.here import tenant_in_view
from wavemend.errors import ViewRefused

ALLOWED: frozenset[str] = frozenset(
    {
        "approve",
        "approve-rollback",
        "calendar export",
        "calendar feasible",
        "calendar preview",
        "calendar simulate",
        "duty nights",
        "duty override",
        "duty show",
        "emergency",
        "explain",
        "feeds diff",
        "feeds status",
        "findings",
        "fleet schema",
        "go",
        "limits durations",
        "limits gaps",
        "limits show",
        "limits well",
        "manager schema",
        "policy show",
        "policy test",
        "ready",
        "reject",
        "reject-rollback",
        "repair",
        "restore-points",
        "rollback",
        "rollout go-on",
        "rollout list",
        "rollout report",
        "rollout resume",
        "rollout show",
        "rollout start",
        "simulate priorities",
        "status",
        "stop",
        "waiting",
    }
)

_FILE = "a fleet file holds every company"
_ALL = "it acts on every company's hosts"
_MACHINE = "it changes what runs here for every company"
_CHAIN = "the chain of events holds every company's"

REFUSED: Mapping[str, str] = {
    "audit show": _CHAIN,
    "audit verify": _CHAIN,
    "deploy": _MACHINE,
    "down": _MACHINE,
    "feeds override": "feeds judge every company's hosts",
    "feeds refresh": "feeds judge every company's hosts",
    "fleet apply": _FILE,
    "fleet check": _FILE,
    "fleet import": _FILE,
    "fleet show": _FILE,
    "manager check": "a declaration under trial belongs to nobody yet",
    "reconcile": _ALL,
    "up": _MACHINE,
    "winrm-selftest": "a host under trial belongs to nobody yet",
}
"""By command: why a view does not have it."""

_WAY_OUT = "without WAVEMEND_TENANT, whoever runs this installation may do it"


def admit(app: cyclopts.App, tokens: Sequence[str]) -> None:
    """Raise ViewRefused for a command that this view does not have; without a view, nothing."""
    if not tenant_in_view():
        return
    words, applications, _ = app.parse_commands(list(tokens))
    command = " ".join(word for word in words if not word.startswith("-"))
    if command in ALLOWED or applications[-1].default_command is None:
        return  # a group of commands alone prints its help
    reason = REFUSED.get(command, "nobody has said yet what it would show")
    raise ViewRefused(
        f"`wavemend {command}` is not for one company's view: {reason}", hint=_WAY_OUT
    )


def refuse_everybody(command: str, *, hint: str = _WAY_OUT) -> None:
    """Raise ViewRefused in a view, for what a command does to every company's hosts."""
    if tenant_in_view():
        raise ViewRefused(f"`wavemend {command}` is not for one company's view: {_ALL}", hint=hint)
