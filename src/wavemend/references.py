"""References to secrets: `file:`, `env:`, `agent:` and `command:`, resolved where the work is done.

The fleet file, Prefect's database and the ledger hold references only. No message here ever
shows a value, what a vault command printed, or a text that should have been a reference.
"""

import os
import shlex
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

from wavemend.errors import SecretMissing

FORMS = "file:/path, env:NAME, agent: or command:program arguments"

LONGEST_SECRET = 1_048_576
"""Bytes. A known_hosts file of 5,000 hosts is about 500 KB; no key comes near."""

COMMAND_SECONDS = 30.0
"""A vault answers in a second or two; a command that waits for a person must not block a run."""

_PRIVATE_KEY = "PRIVATE KEY-----"


def reference_fault(text: str) -> str:
    """Say why `text` is no reference, without showing it; an empty string when it is one."""
    kind, colon, rest = text.partition(":")
    if not colon or kind not in {"file", "env", "agent", "command"}:
        return f"is no reference; write {FORMS}, never the secret itself"
    if any(not character.isprintable() for character in rest):
        return "holds a control character; a reference is one plain line"
    if kind == "agent":
        return "takes nothing after agent:" if rest else ""
    if not rest.strip():
        return f"names nothing after {kind}:"
    if kind == "env":
        plain = rest.replace("_", "a").isalnum() and rest.isascii() and not rest[0].isdigit()
        return "" if plain else "does not name an environment variable after env:"
    return _command_fault(rest) if kind == "command" else ""


def uses_agent(reference: str) -> bool:
    """Return whether the key stays in an SSH agent."""
    return reference == "agent:"


def resolve(
    reference: str,
    *,
    base: Path,
    environ: Mapping[str, str],
    command_seconds: float = COMMAND_SECONDS,
) -> str:
    """Return the text a reference stands for; for `agent:` it is empty, the agent keeps its keys.

    `base` is the folder that relative paths start from and commands run in: the fleet file's.
    A single line comes without its line end, as passphrases and tokens are meant; text of several
    lines, such as a key, comes unchanged. Raises SecretMissing, never showing a value.
    """
    if fault := reference_fault(reference):
        raise SecretMissing(f"a secret {fault}")
    kind, _, rest = reference.partition(":")
    match kind:
        case "agent":
            return ""
        case "env":
            text = _from_environment(rest, environ)
        case "file":
            text = _from_file(rest, base, environ)
        case _:
            text = _from_command(rest, base, environ, command_seconds)
    if not text.strip():
        raise SecretMissing(f"{_place(kind, rest)} is empty", hint="empty is not a secret")
    return text.rstrip("\r\n") if len(text.splitlines()) == 1 else text


def _command_fault(command: str) -> str:
    try:
        return "" if shlex.split(command) else "names no program after command:"
    except ValueError:
        return "has a quote that is not closed after command:"


def _place(kind: str, rest: str) -> str:
    """Name where a secret should come from; of a command only the program, never its arguments."""
    return f"command:{shlex.split(rest)[0]}" if kind == "command" else f"{kind}:{rest}"


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise SecretMissing(
            f"the environment variable {name} is not set", hint="set it for the worker's service"
        )
    return environ[name]


def _from_file(name: str, base: Path, environ: Mapping[str, str]) -> str:
    if name.startswith("~/") and environ.get("HOME"):
        name = environ["HOME"] + name[1:]
    path = base / name
    try:
        # Not blocking: a named pipe in the place of a file would hold the worker for ever.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise SecretMissing(
            f"{path} cannot be read: {error.strerror}", hint="check the path and its owner"
        ) from error
    state = os.fstat(handle)
    if not stat.S_ISREG(state.st_mode):
        os.close(handle)
        raise SecretMissing(f"{path} is not a plain file", hint="name the file itself")
    with os.fdopen(handle, "rb") as file:
        text = _decoded(file.read(LONGEST_SECRET + 1), str(path))
    # Judged on the open file, so that the answer belongs to what was read.
    if _PRIVATE_KEY in text and state.st_mode & 0o077:
        raise SecretMissing(
            f"the private key {path} is open to others (mode {stat.S_IMODE(state.st_mode):04o})",
            hint=f"run: chmod 600 {shlex.quote(str(path))}",
        )
    return text


def _from_command(command: str, base: Path, environ: Mapping[str, str], seconds: float) -> str:
    argv = shlex.split(command)
    place = f"command:{argv[0]}"
    try:
        done = subprocess.run(
            argv,
            cwd=base,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        # `from None`: the caught error carries the argv and what was printed so far.
        raise SecretMissing(
            f"{place} did not answer within {seconds:g} seconds",
            hint="run it by hand as the worker's user",
        ) from None
    except OSError as error:
        raise SecretMissing(
            f"{place} cannot be started: {error.strerror}", hint="check the path and its mode"
        ) from error
    if done.returncode != 0:
        raise SecretMissing(
            f"{place} ended with status {done.returncode}",
            hint="run it by hand as the worker's user; its output is not shown here",
        )
    return _decoded(done.stdout, place)


def _decoded(content: bytes, place: str) -> str:
    if len(content) > LONGEST_SECRET:
        raise SecretMissing(f"{place} is longer than {LONGEST_SECRET} bytes", hint="name another")
    try:
        return content.decode()
    except UnicodeDecodeError:
        # `from None`: the caught error carries the bytes.
        raise SecretMissing(f"{place} is not UTF-8 text", hint="name a text file") from None
