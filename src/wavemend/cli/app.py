"""All commands, mounted in one place."""

import cyclopts

from wavemend import __version__
from wavemend.cli import (
    approvals,
    control,
    feeds,
    fleet,
    manager,
    restore_points,
    rollback,
    rollouts,
    simulate,
    stack,
)
from wavemend.cli.explain import explain
from wavemend.cli.findings import findings
from wavemend.cli.fleet_apply import apply
from wavemend.cli.ready import ready
from wavemend.cli.reconcile import reconcile

app = cyclopts.App(
    name="wavemend",
    help="Patches fleets of hosts in waves, stops when hosts go bad, and keeps the proof.",
    version=__version__,
)
fleet.app.command(apply)
app.command(fleet.app)
app.command(feeds.app)
app.command(findings)
app.command(explain)
app.command(simulate.app)
app.command(manager.app)
app.command(ready)
app.command(reconcile)
app.command(rollouts.app)
app.command(control.audit_app)
app.command(stack.up)
app.command(stack.down)
app.command(stack.status)
app.command(approvals.approve)
app.command(approvals.reject)
app.command(approvals.waiting)
app.command(control.stop)
app.command(control.go)
app.command(rollback.rollback)
app.command(rollback.approve_rollback)
app.command(rollback.reject_rollback)
app.command(restore_points.points, name="restore-points")
