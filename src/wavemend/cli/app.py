"""All commands, mounted in one place."""

import cyclopts

from wavemend import __version__
from wavemend.cli import (
    approvals,
    calendar,
    control,
    duty,
    feeds,
    fleet,
    limits,
    manager,
    policy,
    restore_points,
    rollback,
    rollouts,
    simulate,
    stack,
)
from wavemend.cli.deploy import deploy
from wavemend.cli.emergency import emergency
from wavemend.cli.explain import explain
from wavemend.cli.feasible import feasible
from wavemend.cli.findings import findings
from wavemend.cli.fleet_apply import apply
from wavemend.cli.fleet_import import import_
from wavemend.cli.ready import ready
from wavemend.cli.reconcile import reconcile
from wavemend.cli.repair import repair
from wavemend.cli.winrm_selftest import winrm_selftest

app = cyclopts.App(
    name="wavemend",
    help="Patches fleets of hosts in waves, stops when hosts go bad, and keeps the proof.",
    version=__version__,
)
fleet.app.command(apply)
fleet.app.command(import_, name="import")
app.command(fleet.app)
app.command(feeds.app)
app.command(findings)
app.command(explain)
app.command(simulate.app)
app.command(manager.app)
app.command(winrm_selftest)
app.command(policy.app)
app.command(ready)
app.command(reconcile)
app.command(emergency)
app.command(repair)
app.command(rollouts.app)
app.command(limits.app)
app.command(duty.app)
app.command(control.audit_app)
app.command(stack.up)
app.command(stack.down)
app.command(stack.status)
app.command(deploy)
calendar.app.command(feasible)
app.command(calendar.app)
app.command(approvals.approve)
app.command(approvals.reject)
app.command(approvals.waiting)
app.command(control.stop)
app.command(control.go)
app.command(rollback.rollback)
app.command(rollback.approve_rollback)
app.command(rollback.reject_rollback)
app.command(restore_points.points, name="restore-points")
