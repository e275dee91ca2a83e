"""`python -m tests.lab`: the lab by hand."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.lab import Lab, default_state
from tests.lab.probing import probe
from tests.lab.spec import default_hosts, load_spec


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    top = argparse.ArgumentParser(
        prog="python -m tests.lab", description="real hosts on one machine"
    )
    verbs = top.add_subparsers(dest="verb", required=True)
    verbs.add_parser("probe", help="say whether and how hosts can run here")

    def add(name: str, text: str, *positionals: str) -> argparse.ArgumentParser:
        verb = verbs.add_parser(name, help=text)
        verb.add_argument("--state", type=Path, default=default_state(), help="folder of the lab")
        for positional in positionals:
            verb.add_argument(positional)
        return verb

    up = add("up", "bring hosts up; what runs is kept")
    up.add_argument("--hosts", type=int, default=10, help="how many of the default table")
    up.add_argument("--spec", type=Path, help="JSON list of hosts instead of the default table")
    add("down", "end the lab and everything in it")
    add("status", "show the hosts").add_argument("--json", action="store_true")
    add("exec", "run a command as the host's root", "host").add_argument(
        "argv", nargs=argparse.REMAINDER, metavar="-- command"
    )
    add("power", "use the power switch", "host").add_argument(
        "action", choices=["on", "off", "cut", "reboot"]
    )
    add("reset", "bring a host back to day zero", "host")
    add("publish", "offer a built package", "package", "version")
    add("link", "pull or plug the network cable", "host").add_argument(
        "direction", choices=["down", "up"]
    )
    return top


def _up(lab: Lab, options: argparse.Namespace) -> None:
    hosts = load_spec(options.spec) if options.spec else default_hosts(options.hosts)
    info = lab.up(hosts)
    print(f"{len(info.hosts)} hosts, mode {info.mode}, profile {info.profile}, in {lab.state}")
    print(f"ssh -i {info.key} -o UserKnownHostsFile={info.known_hosts} {info.user}@ADDRESS")
    _show(lab)


def _show(lab: Lab) -> None:
    info = lab.info()
    for entry in lab.status()["hosts"]:
        host = info.host(entry["name"])
        power = "on" if entry["running"] else "off"
        cable = "" if entry["connected"] else ", cable out"
        spec = " ".join([*host.packages, *(f"hold:{name}" for name in host.held)])
        print(f"{host.name:12} {host.address}:{host.port:<5} {power}{cable}  {spec}")


def _exec(lab: Lab, options: argparse.Namespace) -> int:
    argv = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
    if not argv:
        raise LabError("say what to run: exec HOST -- COMMAND [ARGUMENTS]")
    return lab.exec_on(options.host, argv, files=[0, 1, 2])


def _do(lab: Lab, options: argparse.Namespace) -> int:
    match options.verb:
        case "up":
            _up(lab, options)
        case "down":
            lab.down()
        case "status" if options.json:
            print(json.dumps(lab.status(), indent=2))
        case "status":
            _show(lab)
        case "exec":
            return _exec(lab, options)
        case "power":
            lab.power(options.host, options.action)
        case "reset":
            lab.reset(options.host)
        case "publish":
            lab.publish(options.package, options.version)
        case _:  # argparse lets nothing else through than "link"
            lab.link(options.host, options.direction)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; what cannot be done is one sentence on stderr and exit status 1."""
    options = parser().parse_args(argv)
    if options.verb == "probe":
        found = probe()
        print(found.mode or found.reason)
        return 0 if found.mode else 1
    try:
        return _do(Lab(options.state, say=lambda text: print(text, file=sys.stderr)), options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
