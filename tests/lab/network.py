"""The lab's network: one bridge, and for each host a cable and a namespace of its own."""

from pathlib import Path

from tests.lab.errors import run

_BRIDGE = "lab0"
UPLINK = "up0"


def mirror_address(subnet: str) -> str:
    """Return the lab's own address, where the mirror listens."""
    return f"{subnet}.1"


def gateway_address(subnet: str) -> str:
    """Return the ordinary namespace's address on the lab's network."""
    return f"{subnet}.254"


def host_address(subnet: str, number: int) -> str:
    """Return a host's address; numbers count from 1."""
    return f"{subnet}.{10 + number}"


def make_bridge(subnet: str) -> None:
    """Set up the lab's side: loopback and a bridge with the mirror's address."""
    _batch(
        "link set lo up",
        f"link add {_BRIDGE} type bridge forward_delay 0",
        f"address add {mirror_address(subnet)}/24 dev {_BRIDGE}",
        f"link set {_BRIDGE} up",
    )


def plug_uplink() -> None:
    """Attach the cable to the ordinary namespace, which was laid from there."""
    _batch(f"link set {UPLINK} master {_BRIDGE} up")


def lay_uplink(name: str, subnet: str, pid: int) -> None:
    """In the ordinary namespace: lay a cable into the namespace of process `pid`."""
    _batch(
        f"link add {name} type veth peer name {UPLINK} netns {pid}",
        f"address add {gateway_address(subnet)}/24 dev {name}",
        f"link set {name} up",
    )


class Cable:
    """One host's network namespace and the cable between it and the bridge."""

    def __init__(self, namespace: Path, number: int, address: str) -> None:
        """Name the parts; `lay` makes them."""
        self.namespace = namespace
        self._port = f"v{number}"
        self._number = number
        self._address = address

    def lay(self) -> None:
        """Make the namespace, which outlives the host's reboots, and its `eth0`."""
        self.namespace.touch()
        run(["unshare", f"--net={self.namespace}", "true"])
        # A fixed hardware address: with a new one, stale neighbour entries silence a host for 40 s.
        mac = f"02:77:6d:00:00:{self._number:02x}"
        _batch(
            f"link add {self._port} type veth peer name eth0 address {mac} netns {self.namespace}",
            f"link set {self._port} master {_BRIDGE}",
        )
        enter = ["nsenter", f"--net={self.namespace}", "ip", "-batch", "-"]
        lines = ["link set lo up", f"address add {self._address}/24 dev eth0", "link set eth0 up"]
        run(enter, stdin="\n".join(lines) + "\n")

    def remove(self) -> None:
        """Let go of the namespace; the kernel takes the cable with it."""
        if self.namespace.exists():
            run(["umount", "--lazy", self.namespace])

    def plug(self, *, connected: bool) -> None:
        """Plug the cable in or pull it out."""
        _batch(f"link set {self._port} {'up' if connected else 'down'}")


def _batch(*lines: str) -> None:
    """Run several `ip` commands in one process."""
    run(["ip", "-batch", "-"], stdin="\n".join(lines) + "\n")
