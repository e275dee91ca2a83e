"""From checked forms to policies, budgets, dependencies and emergency rules."""

from collections.abc import Iterable

from wavemend.hosts import Host
from wavemend.inventory.policy_schema import (
    BudgetForm,
    DependencyForm,
    EmergencyForm,
    PolicyForm,
    UpdateRuleForm,
)
from wavemend.policy.limits import Budget, Dependency, EmergencyRule
from wavemend.policy.profiles import RebootRule, Size, Updates
from wavemend.policy.settings import (
    Importance,
    Level,
    Policy,
    RuleAction,
    UpdateClass,
    UpdateRule,
)
from wavemend.selectors import Selector


def policy_of(form: PolicyForm) -> Policy:
    """Return the policy a form declares."""
    return Policy(
        name=form.name,
        level=Level(form.scope),
        tenant=form.tenant,
        group=form.group,
        host=form.host,
        updates=Updates(form.updates) if form.updates else None,
        reboot=RebootRule(form.reboot) if form.reboot else None,
        new_packages=form.new_packages,
        window=form.window,
        critical=form.critical,
        conffiles=form.conffiles,
        services=form.services,
        importance=Importance(form.importance) if form.importance else None,
        defer=form.defer,
        lock=tuple(sorted(set(form.lock))),
        rules=tuple(_rule_of(rule) for rule in form.rules),
    )


def _rule_of(form: UpdateRuleForm) -> UpdateRule:
    return UpdateRule(
        name=form.name,
        action=RuleAction(form.action),
        classes=tuple(sorted({UpdateClass(name) for name in form.classes})),
        lanes=tuple(sorted(set(form.lanes))),
        cvss_at_least=form.cvss_at_least,
        epss_at_least=form.epss_at_least,
        kev=form.kev,
        packages=tuple(sorted(set(form.packages))),
        severities=tuple(sorted({text.lower() for text in form.severities})),
        products=tuple(sorted(set(form.products))),
        younger_than=form.younger_than,
        select=form.select,
    )


def budget_of(form: BudgetForm, hosts: Iterable[Host]) -> Budget:
    """Return the budget a form declares; `hosts`: all of the fleet."""
    names = form.hosts
    if names is None:  # `all`
        names = tuple(host.name for host in hosts if form.tenant in {"", host.tenant})
    return Budget(
        name=form.name,
        most_out=form.most_out or Size(value=1, percent=False),
        tenant=form.tenant,
        hosts=tuple(sorted(set(names))),
        group=form.group,
        select=form.select,
    )


def dependency_of(form: DependencyForm) -> Dependency:
    """Return the dependency a form declares, whose two selections a check found to be there."""
    return Dependency(
        name=form.name,
        first=_selector(form.first),
        then=_selector(form.then),
        tenant=form.tenant,
    )


def _selector(found: Selector | None) -> Selector:
    if found is None:
        raise ValueError("the fleet was checked, and a dependency names both selections")
    return found


def emergency_of(form: EmergencyForm) -> EmergencyRule:
    """Return what a company allows in an emergency."""
    return EmergencyRule(
        standing=form.standing,
        ignores_freezes=form.ignores_freezes,
        ignores_duty=form.ignores_duty,
        duration=form.duration,
        cutoff=form.cutoff,
        soak=form.soak,
        gap=form.gap,
    )
