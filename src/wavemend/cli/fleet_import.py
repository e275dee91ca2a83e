"""`wavemend fleet import`: another tool's hosts as entries of a fleet file, to be pasted."""

import io
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from wavemend.cli.shown import spelled_lines
from wavemend.errors import FleetError
from wavemend.inventory.sources import READERS
from wavemend.inventory.sources.found import Found


def import_(
    kind: Literal["csv", "ansible", "netbox", "ssh_config"],
    file: Path,
    *,
    tenant: Annotated[str, Parameter(help="Company of hosts that name none themselves.")] = "",
) -> int:
    """Print the hosts and groups of another tool's file as a fleet file writes them.

    Nothing is put in force. What was left out is told on the error output. Without conversion:
    `sources:` in the fleet file reads such a file each time the fleet is applied.

    Parameters
    ----------
    kind
        Form of the file.
    file
        The file; an inventory's folder too.
    """
    found = READERS[kind]()(file, str(file))
    if found.faults:
        raise FleetError("\n".join(f"{fault.spot}: {fault.what}" for fault in found.faults))
    if not found.hosts:
        raise FleetError(f"{file} holds no host")
    print(spelled_lines(_yaml(found, tenant)), end="")
    for left in found.left_out:
        print(spelled_lines(f"left out: {left.spot}: {left.what}"), file=sys.stderr)
    for word, times in found.ignored:
        print(spelled_lines(f"means nothing here: {word} ({times})"), file=sys.stderr)
    return 0


def _yaml(found: Found, tenant: str) -> str:
    from ruamel.yaml import YAML

    hosts = []
    for host in found.hosts:
        entry = {"name": host.name, **({"tenant": tenant} if tenant else {}), **host.values}
        # No form knows the account of a login: whoever pastes this declares one and names it.
        hosts.append(entry | ({"login": host.user} if host.user else {}))
    groups = [
        {"name": group.name, "scope": "custom", "hosts": list(group.hosts)}
        for group in found.groups
    ]
    document = {"hosts": hosts, **({"groups": groups} if groups else {})}
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.indent(mapping=2, sequence=4, offset=2)
    text = io.StringIO()
    yaml.dump(document, text)
    return text.getvalue()
