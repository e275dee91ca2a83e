"""A host that a killed dpkg left half configured is repaired by a rollout of its own, once signed.

The whole product on a real host: the rollout of updates leaves it alone, `wavemend repair` asks.
"""

import json

import pytest

from tests.world.standing import Standing
from tests.world.world import World
from wavemend.ledger import attempts
from wavemend.ledger.scans import newest_look
from wavemend.outcomes import PackageOutcome

pytestmark = pytest.mark.live

TENANT, HOST = "mend", "mend1"

CUT = """
export LC_ALL=C.UTF-8
echo 30 >/etc/wm-slow.seconds
apt-get -qq update
(apt-get -q -y install wm-slow=2.0 </dev/null >/dev/null 2>&1 &)
until [ -e /run/wm-slow.started ]; do sleep 0.2; done
pkill -9 -x apt-get; pkill -9 -x dpkg; pkill -9 -f wm-slow.postinst
echo 0 >/etc/wm-slow.seconds
"""


@pytest.fixture(scope="module")
def left_alone(world: World) -> Standing:
    """A finished rollout of updates that met the half-configured host."""
    if world.hosts.simulated:
        pytest.skip("a real dpkg is cut here")
    world.hosts.run(HOST, "sh", "-c", CUT)
    assert status(world) == "iF 2.0"
    world.begin(TENANT)
    return world.wait_finished(TENANT)


def status(world: World) -> str:
    """Return what the host's own dpkg says of the package that was cut."""
    form = "${db:Status-Abbrev} ${Version}"
    return " ".join(world.hosts.run(HOST, "dpkg-query", "-W", "-f", form, "wm-slow").split())


def test_a_half_configured_host_is_repaired_after_a_signature_and_then_takes_updates_again(
    world: World, left_alone: Standing
) -> None:
    assert left_alone.outcomes == {HOST: "skipped"}
    assert world.journal(HOST) == []
    told = world.wavemend("repair", TENANT, "--preview").stdout
    assert "wm-slow 2.0 (iF)" in told
    assert "nothing was asked for" in told

    world.wavemend("repair", TENANT)
    world.wait_until(
        lambda: world.standing(TENANT).rollout != left_alone.rollout, "the rollout of repairs"
    )
    asking = world.wait_asking(TENANT)

    assert asking.plan is not None
    planned = asking.plan.host(HOST)
    assert (planned.critical, planned.repairs) == (True, ("wm-slow 2.0 (iF)",))
    assert world.journal(HOST) == [], "nothing is begun before the signature"
    assert status(world) == "iF 2.0"
    signing = ["--key", str(world.key("alice")), "--reason", "finish what was cut"]
    assert "repair: wm-slow 2.0 (iF)" in world.wavemend("approve", asking.rollout, *signing).stdout

    repaired = world.wait_finished(TENANT)

    assert repaired.outcomes == {HOST: "patched"}, repaired.attempts[HOST].reason
    assert repaired.plan is not None
    assert repaired.plan.digest == asking.plan.digest
    assert status(world) == "ii 2.0"
    assert len(world.journal(HOST)) == 2
    (package,) = attempts.packages_of(repaired.attempts[HOST])
    assert (package.name, package.after, package.outcome) == (
        "wm-slow",
        "2.0",
        PackageOutcome.INSTALLED,
    )
    with world.ledger.reading() as book:
        found = newest_look(book, HOST, purpose="verify", rollout_id=repaired.rollout)
    assert found is not None
    assert found[1].facts is not None
    assert found[1].facts.defects == (), "the second look is clean"
    report = json.loads((world.home / "reports" / f"rollout-{repaired.rollout}.json").read_text())
    assert [host["outcome"] for host in report["hosts"]] == ["patched"]
    assert "nothing is half done" in world.wavemend("repair", TENANT).stdout
