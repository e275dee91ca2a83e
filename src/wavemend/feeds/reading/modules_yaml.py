"""`modules.yaml`: which build of an RPM repository belongs to which module's stream.

A repository of modules offers the same package several times, once per stream, and versions
compare only inside one stream.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from wavemend.feeds import Document, Sink
from wavemend.feeds.reading.archives import open_stream
from wavemend.feeds.reading.documents import MIB, reject

MOST_BYTES = 256 * MIB
MOST_MODULE_BYTES = 8 * MIB
"""One module in one version; the largest real ones list 1,000 packages in 100 kB."""


def streams_by_build(document: Document, sink: Sink) -> Mapping[str, str]:
    """Return `name:stream` by `name-epoch:version-release.arch`.

    A module that cannot be read is a flaw; its builds then have no stream. Raises FeedRejected for
    what is damaged or too large.
    """
    found: dict[str, str] = {}
    # Every scalar stays text: stream 1.10 is not the number 1.1.
    yaml = YAML(typ="base")
    for number, body in enumerate(_modules(document), 1):
        where = f"{document.name}: document {number}"
        try:
            loaded = yaml.load(body)
        except (YAMLError, ValueError, RecursionError) as error:
            sink.flaw(where, f"not readable as YAML: {' '.join(str(error).split()):.160}")
            continue
        if not isinstance(loaded, dict) or loaded.get("document") != "modulemd":
            continue  # defaults, translations, obsoletes: they name no builds
        name, trouble = _take(loaded.get("data"), found)
        if trouble:
            sink.flaw(f"{where}: {name}" if name else where, trouble)
    return found


def _take(data: object, found: dict[str, str]) -> tuple[str, str]:
    part: Mapping[str, Any] = data if isinstance(data, dict) else {}
    name, stream = part.get("name"), part.get("stream")
    if not isinstance(name, str) or not isinstance(stream, str) or not name or not stream:
        return "", "a module without a name or a stream"
    artifacts = part.get("artifacts")
    builds = artifacts.get("rpms") if isinstance(artifacts, dict) else None
    if builds is None:
        return name, ""
    if not isinstance(builds, list):
        return name, "its packages are not a list"
    found.update((build, f"{name}:{stream}") for build in builds if isinstance(build, str))
    return name, ""


def _modules(document: Document) -> Iterator[bytes]:
    """Yield the YAML documents one by one: the whole file would be gigabytes as values."""
    lines: list[bytes] = []
    size = 0
    with open_stream(document, most=MOST_BYTES) as file:
        while line := file.readline(MOST_MODULE_BYTES):
            if line.rstrip() in {b"---", b"..."}:
                if lines:
                    yield b"".join(lines)
                lines, size = [], 0
                continue
            size += len(line)
            if size > MOST_MODULE_BYTES:
                reject(document.name, f"holds a module of more than {MOST_MODULE_BYTES} bytes.")
            lines.append(line)
    if lines:
        yield b"".join(lines)
