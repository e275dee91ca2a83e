"""Hosts of an OpenSSH client configuration: every `Host` without a wildcard is one.

Keywords are looked up as `ssh` does, the first value wins. `Match` and `Include` are refused:
`Match exec` runs programs, and an included file would change what stands here unseen.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import paramiko

from wavemend.inventory.sources.found import (
    MOST_HOSTS,
    Fault,
    Found,
    FoundHost,
    counted,
    refused,
    text_of,
)
from wavemend.inventory.sources.values import Misread, number

_LINE = re.compile(r"\s*(?P<word>[A-Za-z]+)(?:\s*=\s*|\s+)(?P<rest>\S.*?)\s*")
_NOT_READ = frozenset({"match", "include"})
_MEANT = frozenset({"host", "hostname", "port", "user", "proxyjump"})


def read(path: Path, shown: str) -> Found:
    """Return the hosts a configuration names."""
    text = text_of(path, shown)
    if isinstance(text, Fault):
        return Found(faults=(text,))
    seen = _seen(text, shown)
    if len(seen.spots) > MOST_HOSTS:
        return refused(shown, f"holds more than {MOST_HOSTS} hosts; split it")
    if seen.faults:
        return Found(faults=tuple(seen.faults))
    try:
        config = paramiko.SSHConfig.from_text(text)
        hosts = [_host(config, name, spot, seen.faults) for name, spot in seen.spots.items()]
    except paramiko.ConfigParseError as error:
        return refused(shown, f"is no OpenSSH configuration: {error}")
    return Found(hosts=tuple(hosts), faults=tuple(seen.faults), ignored=counted(seen.ignored))


@dataclass(slots=True)
class _Seen:
    spots: dict[str, str] = field(default_factory=dict)
    """Names of hosts, and where each is named first."""
    faults: list[Fault] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def _seen(text: str, shown: str) -> _Seen:
    seen = _Seen()
    for line, raw in enumerate(text.splitlines(), 1):
        found = _LINE.fullmatch(raw)
        if found is None:  # empty, or a comment; anything else is paramiko's to refuse
            continue
        word, spot = found["word"].lower(), f"{shown}:{line}"
        if word in _NOT_READ:
            what = f"{found['word']} is not read; write a file of Host entries for wavemend"
            seen.faults.append(Fault(spot, what))
        elif word == "host":
            names = found["rest"].replace('"', " ").split()
            for name in (name for name in names if not set(name) & set("*?!")):
                seen.spots.setdefault(name, spot)
        elif word not in _MEANT:
            seen.ignored.append(found["word"])
    return seen


def _host(config: paramiko.SSHConfig, name: str, spot: str, faults: list[Fault]) -> FoundHost:
    """Jump hosts stay with the login: its `ssh_config` names them, and they are looked up there."""
    said = config.lookup(name)
    values: dict[str, object] = {"address": said.get("hostname", name)}
    if "port" in said:
        try:
            values["port"] = number(said["port"])
        except Misread as error:
            faults.append(Fault(spot, f"Port of {name}: {error}"))
    return FoundHost(name=name, spot=spot, values=values, user=said.get("user", ""))
