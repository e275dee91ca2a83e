"""What waits for a pilot begins only once one of the same plan really ended well with it.

A gate may pass although the one pilot that was to have a package was never attempted.
"""

from wavemend.execution.hands import Hands
from wavemend.ledger import attempts
from wavemend.ledger.rollouts import read_view
from wavemend.outcomes import PackageOutcome
from wavemend.planning.rules import Version
from wavemend.plans import Plan
from wavemend.policy.profiles import WaveKind

_CAME_IN = frozenset({PackageOutcome.INSTALLED, PackageOutcome.CONFFILE_KEPT})


def untried(hands: Hands, plan: Plan, host: str) -> str:
    """Say which package of a host waits for a pilot that ended well with it; empty when none does.

    The whole host waits: what was approved is installed as it was approved, or not at all.
    """
    waits = [package for package in plan.host(host).packages if package.after_pilot]
    if not waits:
        return ""
    tried = _tried(hands, plan)
    for package in waits:
        if (package.name, package.arch, package.target) not in tried:
            return (
                f"no pilot ended well with {package.name} {package.target}, which a policy takes "
                "only after one: it follows in a rollout after one did"
            )
    return ""


def _tried(hands: Hands, plan: Plan) -> frozenset[Version]:
    """Return what pilots of a plan have, those left out of which the change was taken back."""
    pilots = [name for wave in plan.waves if wave.kind == WaveKind.PILOT for name in wave.hosts]
    with hands.ledger.reading() as book:
        known = read_view(book, plan.rollout).attempts
        good = [name for name in pilots if name in known and known[name].is_good]
        rows = [row for name in good if (row := attempts.find(book, plan.digest, name))]
        return frozenset(
            (package.name, package.arch, package.after)
            for row in rows
            for package in attempts.packages_of(row)
            if package.outcome in _CAME_IN
        )
