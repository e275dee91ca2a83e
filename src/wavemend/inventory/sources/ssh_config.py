"""Hosts of an OpenSSH client configuration: every `Host` without a wildcard is one.

Keywords are looked up as `ssh` does, the first value wins. `Match` and `Include` are refused:
`Match exec` runs programs, and an included file would change what stands here unseen.
"""

import re
import shlex
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

_LINE = re.compile(r"\s*(?P<word>[A-Za-z]\w*)(?:\s*=\s*|\s+)(?P<rest>\S.*?)\s*")
_NOT_READ = frozenset({"match", "include"})
_MEANT = frozenset({"host", "hostname", "port", "user", "proxyjump"})
_LAST_PORT = 65535


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
    except paramiko.ConfigParseError:  # its words repeat the line, which may be any file's
        return refused(shown, "is no OpenSSH configuration")
    hosts = tuple(_host(config, name, spot) for name, spot in seen.spots.items())
    return Found(hosts=hosts, ignored=counted(seen.ignored))


@dataclass(slots=True)
class _Seen:
    spots: dict[str, str] = field(default_factory=dict)
    """Names of hosts, and where each is named first."""
    faults: list[Fault] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def _seen(text: str, shown: str) -> _Seen:
    seen = _Seen()
    for line, raw in enumerate(text.split("\n"), 1):  # as ssh does; splitlines() makes more lines
        if raw.strip()[:1] in {"", "#"}:
            continue
        found, spot = _LINE.fullmatch(raw), f"{shown}:{line}"
        if found is None:
            # Not repeated: this may be any file of this machine. The first fault says enough.
            seen.faults.append(Fault(spot, "is no keyword with a value, as `Port 22`"))
            return seen
        word = found["word"].lower()
        if word in _NOT_READ:
            what = f"{found['word']} is not read; write a file of Host entries for wavemend"
            seen.faults.append(Fault(spot, what))
        elif word in _MEANT:
            _understand(word, found["rest"], spot, seen)
        else:
            seen.ignored.append(found["word"])
    return seen


def _understand(word: str, rest: str, spot: str, seen: _Seen) -> None:
    try:
        parts = shlex.split(rest)
    except ValueError as error:
        seen.faults.append(Fault(spot, f"{word} cannot be read: {error}"))
        return
    if word == "host":
        for name in (name for name in parts if not set(name) & set("*?!")):
            seen.spots.setdefault(name, spot)
    elif word == "port":
        try:
            wrong = "" if 1 <= number(rest.strip('"')) <= _LAST_PORT else "is out of range"
        except Misread as error:
            wrong = str(error)
        if wrong:
            seen.faults.append(Fault(spot, f"Port: {wrong}; write a number up to {_LAST_PORT}"))


def _host(config: paramiko.SSHConfig, name: str, spot: str) -> FoundHost:
    """Jump hosts stay with the login: its `ssh_config` names them, and they are looked up there."""
    said = config.lookup(name)
    values: dict[str, object] = {"address": said.get("hostname", name)}
    if "port" in said:
        values["port"] = number(said["port"])
    return FoundHost(name=name, spot=spot, values=values, user=said.get("user", ""))
