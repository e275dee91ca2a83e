"""Whether policies, budgets and dependencies speak of something and agree with each other."""

from collections.abc import Iterator

from wavemend.inventory.fleet_schema import HostForm
from wavemend.inventory.forms import Forms
from wavemend.inventory.inheritance import Inheritance
from wavemend.inventory.policy_schema import BudgetForm, DependencyForm, PolicyForm
from wavemend.inventory.problems import Place, Problem
from wavemend.policy.settings import FIELDS
from wavemend.selectors import Selector
from wavemend.windows.titles import misspelt

_SCOPED = {"company": "tenant", "custom": "group", "host": "host"}
"""The key that says of whom a policy of this scope speaks."""


def check_policies(forms: Forms, inheritance: Inheritance) -> Iterator[Problem]:
    """Yield what is wrong with policies, budgets and dependencies."""
    for number, policy in forms.policies.items():
        place: Place = ("policies", number)
        yield from _references(forms, place, policy)
        yield from _scope(forms, place, policy)
        yield from _reach(forms, place, policy)
        yield from _content(forms, place, policy)
    yield from _rivals(forms, inheritance)
    companies = _Companies(forms)
    for number, budget in forms.budgets.items():
        yield from _budget(forms, companies, ("budgets", number), budget)
    dependencies = Dependencies(forms, companies)
    for number, dependency in forms.dependencies.items():
        yield from dependencies.check(("dependencies", number), dependency)
    yield from dependencies.cycles()


def _references(forms: Forms, place: Place, policy: PolicyForm) -> Iterator[Problem]:
    yield from forms.unknown((*place, "tenant"), "tenants", policy.tenant)
    yield from forms.unknown((*place, "group"), "groups", policy.group)
    yield from forms.unknown((*place, "host"), "hosts", policy.host)
    yield from forms.unknown((*place, "window"), "windows", policy.window or "")


def _scope(forms: Forms, place: Place, policy: PolicyForm) -> Iterator[Problem]:
    needed = _SCOPED.get(policy.scope, "")
    if needed and not getattr(policy, needed):
        what = (
            f"is missing; scope {policy.scope} is about one {needed.replace('tenant', 'company')}"
        )
        yield forms.problem((*place, needed), what)
    for key in ("tenant", "group", "host"):
        # A custom group may reach over companies: a tenant limits the policy to one of them.
        limits = key == "tenant" and policy.scope == "custom"
        if getattr(policy, key) and key != needed and not limits:
            what = f"has no meaning with scope {policy.scope}; take it out, or choose another scope"
            yield forms.problem((*place, key), what)


def _reach(forms: Forms, place: Place, form: PolicyForm | BudgetForm) -> Iterator[Problem]:
    whose = next((group.tenant for group in forms.groups.values() if group.name == form.group), "")
    if form.group and form.tenant and whose not in {"", form.tenant}:
        what = f"the group {form.group} is {whose}'s, so it speaks of nobody; take one of them out"
        yield forms.problem((*place, "tenant"), what)


def _content(forms: Forms, place: Place, policy: PolicyForm) -> Iterator[Problem]:
    says = [field for field in FIELDS if getattr(policy, field) is not None]
    if not (says or policy.rules or policy.lock):
        what = f"says nothing; set one of {', '.join(FIELDS)}, or give it rules"
        yield forms.problem(place, what)
    if policy.scope == "host" and policy.lock:
        what = "nothing is nearer than a host, so there is nobody to lock out; take it out"
        yield forms.problem((*place, "lock"), what)
    first: dict[str, int] = {}
    for at, rule in enumerate(policy.rules):
        here = (*place, "rules", at)
        if rule.name in first:
            line = forms.source.line((*place, "rules", first[rule.name], "name"))
            what = f'"{rule.name}" names an earlier rule too (line {line}); reasons name rules'
            yield forms.problem((*here, "name"), what)
        first.setdefault(rule.name, at)
        for key in ("packages", "products"):
            for position, glob in enumerate(getattr(rule, key)):
                if fault := _glob_fault(glob) or (misspelt(glob) if key == "packages" else ""):
                    yield forms.problem((*here, key, position), fault)


def _glob_fault(glob: str) -> str:
    if glob != glob.strip():
        return "begins or ends with a space; names of packages and products do not"
    if glob.count("[") != glob.count("]"):
        return 'a "[" without its "]" would stand for itself; close it, or use *'
    return ""


def _rivals(forms: Forms, inheritance: Inheritance) -> Iterator[Problem]:
    """Yield the fields on which two voices of one scope decide one host differently."""
    found: dict[tuple[str, str, str, str], list[str]] = {}
    for host in forms.hosts.values():
        resolved = inheritance.of(host).resolved
        for decided in resolved.fields if resolved else ():
            if decided.rivals:
                one, other = decided.rivals
                # An entry's own word has no policy: the fault is told where the policy stands.
                policies = (one, other) if other.policy else (other, one)
                key = (decided.field, policies[1].policy, policies[0].policy, policies[0].source)
                found.setdefault(key, []).append(host.name)
    numbers = {policy.name: number for number, policy in forms.policies.items()}
    for (field, policy, rival, source), hosts in sorted(found.items()):
        line = ""
        if rival:
            line = f" (line {forms.source.line(('policies', numbers[rival], field))})"
        more = f" and {len(hosts) - 1} more" if len(hosts) > 1 else ""
        what = (
            f"{source}{line} says otherwise on the same scope for {hosts[0]}{more}; say the same, "
            "take one out, or decide it in a nearer scope"
        )
        yield forms.problem(("policies", numbers[policy], field), what)


class _Companies:
    """Whose the hosts are, worked out once for all budgets and dependencies."""

    def __init__(self, forms: Forms) -> None:
        self.owners: dict[str, str] = {}
        self._hosts: dict[str, list[HostForm]] = {"": list(forms.hosts.values())}
        for host in forms.hosts.values():
            self.owners[host.name] = host.tenant
            self._hosts.setdefault(host.tenant, []).append(host)

    def hosts(self, tenant: str) -> list[HostForm]:
        """Return a company's hosts; everybody's for an empty name."""
        return self._hosts.get(tenant, [])


def _budget(
    forms: Forms, companies: _Companies, place: Place, budget: BudgetForm
) -> Iterator[Problem]:
    yield from forms.unknown((*place, "tenant"), "tenants", budget.tenant)
    yield from forms.unknown((*place, "group"), "groups", budget.group)
    yield from _reach(forms, place, budget)
    every = budget.hosts is None
    said = [bool(budget.hosts) or every, bool(budget.group), budget.select is not None]
    if sum(said) != 1:
        what = "needs exactly one of hosts, group and select, because empty is not everything"
        yield forms.problem(place, what)
        return
    if budget.most_out is not None and not budget.most_out.percent and budget.most_out.value < 1:
        yield forms.problem((*place, "most_out"), "nothing could ever change; write at least 1")
    mine = companies.hosts(budget.tenant)
    limited = budget.tenant in forms.known["tenants"]
    for at, name in enumerate(budget.hosts or ()):
        yield from forms.unknown((*place, "hosts", at), "hosts", name)
        owner = companies.owners.get(name, budget.tenant)
        if limited and owner != budget.tenant:
            what = f'"{name}" belongs to {owner}, not to {budget.tenant}'
            yield forms.problem((*place, "hosts", at), what)
    if budget.select and forms.all_hosts_read and not _some(budget.select, mine):
        yield forms.problem((*place, "select"), _matches_none(budget.select, len(mine)))


class Dependencies:
    """The order between hosts that dependencies ask for."""

    def __init__(self, forms: Forms, companies: _Companies) -> None:
        self._forms = forms
        self._companies = companies
        self._ordered: list[tuple[int, frozenset[str], frozenset[str]]] = []

    def check(self, place: Place, form: DependencyForm) -> Iterator[Problem]:
        """Yield what is wrong with one of them, and remember it if nothing is."""
        forms = self._forms
        yield from forms.unknown((*place, "tenant"), "tenants", form.tenant)
        if form.first is None or form.then is None:
            key = "first" if form.first is None else "then"
            yield forms.problem((*place, key), "is missing; an order needs both first and then")
            return
        mine = self._companies.hosts(form.tenant)
        sides = {"first": form.first, "then": form.then}
        for key, select in sides.items():
            if forms.all_hosts_read and not _some(select, mine):
                yield forms.problem((*place, key), _matches_none(select, len(mine)))
        first, then = (
            frozenset(host.name for host in mine if select.matches(host.labels))
            for select in sides.values()
        )
        if both := sorted(first & then):
            what = f"{both[0]} would wait for itself: it is on both sides; narrow one of them"
            yield forms.problem(place, what)
        elif first and then:
            self._ordered.append((int(place[1]), first, then))

    def cycles(self) -> Iterator[Problem]:
        """Yield the dependencies that wait for each other in a circle."""
        follows = {
            number: [other for other, first, _ in self._ordered if first & then]
            for number, _, then in self._ordered
        }
        names = {number: form.name for number, form in self._forms.dependencies.items()}
        told: set[int] = set()
        for number, _, _ in self._ordered:
            path = _way_back(number, follows)
            if path and told.isdisjoint(path):
                told.update(path)
                circle = " before ".join(names[step] for step in (*path, number))
                what = f"goes in a circle, {circle}: nobody could start; take one of them out"
                yield self._forms.problem(("dependencies", number), what)


def _way_back(start: int, follows: dict[int, list[int]]) -> tuple[int, ...]:
    """Return the shortest way from a dependency back to itself; empty: there is none."""
    ways: list[tuple[int, ...]] = [(start,)]
    seen: set[int] = set()
    for way in ways:  # grows while it is read
        for step in follows[way[-1]]:
            if step == start:
                return way
            if step not in seen:
                seen.add(step)
                ways.append((*way, step))
    return ()


def _some(select: Selector, hosts: list[HostForm]) -> bool:
    return any(select.matches(host.labels) for host in hosts)


def _matches_none(select: Selector, count: int) -> str:
    return f'"{select}" matches none of {count} hosts; correct it or label one'
