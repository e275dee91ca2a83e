"""How a script of ours runs on a Windows host: one constant command, one request, one answer.

The command line is always the same. Script and parameters travel on stdin as JSON data, so no
parameter is ever read as PowerShell and no host's process log holds one. The answer is one line;
both ways are checked against the JSON schemas in `contracts/`.
"""

import base64
import binascii
import gzip
import hashlib
import html
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NoReturn, cast

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from wavemend.errors import ConnectionLost, HostAnswerInvalid, LoginRefused
from wavemend.transport import CommandResult, Transport
from wavemend.windows.checks import Check, check_of, is_integer

ANSWER_BOUND = 8_388_608
"""Bytes of stdout: a full inventory of a host with 20 years of history is about 3 MB; a status of
the longest that `job` allows, in JSON and base64 again, is 7 MB."""

VALUES_BOUND = 400_000
"""Values in one JSON text of a host: such an inventory has 40,000. As objects they are twenty times
as large as their text, for each host that is asked at a time."""

REQUEST_BOUND = 1_500_000
"""Characters of a request as JSON: `ConvertFrom-Json` of PowerShell 5.1 stops at 2 MB."""

SCRIPTS = (
    *("boot", "clean_jobs", "echo", "facts", "forbid_job", "health", "job_status", "journal"),
    *("list_points", "reboot", "remove_points", "selftest", "start_job"),
)
"""Run in the WinRM session, within seconds."""

WORKERS = ("chocolatey", "install", "nothing", "rollback", "scan", "snapshot")
"""Run detached by the host's task scheduler, as SYSTEM; `start_job` carries their text."""

_INCLUDE = re.compile(r"^# include: ([a-z_]+\.ps1)$", re.MULTILINE)
_ANSWER_LINE = re.compile(rb"^WM1:([A-Za-z0-9+/=]+)\r?$", re.MULTILINE)
_ACCESS_DENIED = "0x80070005"
_LONGEST_COMPLAINT = 8_192
_SHARED = "shared.json#/$defs/"


def _read(name: str) -> str:
    return files("wavemend").joinpath("windows", "scripts", name).read_text(encoding="ascii")


@cache
def _text(file: str) -> str:
    return _INCLUDE.sub(lambda found: _read(found[1]).rstrip("\n"), _read(file))


def script_text(name: str) -> str:
    """Return a script's constant text as it is sent. ValueError for a name that is none."""
    if name not in SCRIPTS:
        raise ValueError(f"{name!r} is no script; there are: {', '.join(SCRIPTS)}")
    return _text(f"{name}.ps1")


def worker_text(name: str) -> str:
    """Return a worker's constant text, for `start_job`. ValueError for a name that is none."""
    if name not in WORKERS:
        raise ValueError(f"{name!r} is no worker; there are: {', '.join(WORKERS)}")
    return _text(f"worker_{name}.ps1")


def script_digests() -> Mapping[str, str]:
    """Return the name of every script and worker by the SHA-256 (hex) of its UTF-8 text."""
    texts = {name: script_text(name) for name in SCRIPTS}
    texts |= {name: worker_text(name) for name in WORKERS}
    return {hashlib.sha256(text.encode()).hexdigest(): name for name, text in texts.items()}


def _bootstrap_argv() -> tuple[str, ...]:
    # Windows refuses command lines above 32,767 characters; comments need not travel.
    lines = (line.strip() for line in _read("bootstrap.ps1").splitlines())
    text = "\n".join(line for line in lines if line and not line.startswith("#"))
    encoded = base64.b64encode(text.encode("utf-16-le")).decode()
    return (
        *("powershell.exe", "-NoLogo", "-NoProfile", "-NonInteractive"),
        *("-ExecutionPolicy", "Bypass", "-EncodedCommand", encoded),
    )


BOOTSTRAP_ARGV = _bootstrap_argv()
"""The only command line that a call ever starts."""


def call(
    transport: Transport, script: str, params: Mapping[str, object], *, deadline: float
) -> Mapping[str, object]:
    """Run one of `SCRIPTS` on a host and return its answer, which fits `<script>.out.json`.

    `deadline` in seconds. Raises HostAnswerInvalid when the host's answer is missing, is not in
    the agreed form, or says that the script failed; LoginRefused when Windows denied it access;
    ConnectionLost and what else the transport raises when the effect is unknown. ValueError for
    parameters that are not in form: a bug.
    """
    fault = contract_fault(f"{script}.in", params)
    if fault:
        raise ValueError(f"parameters of {script}: {fault}")
    result = transport.run_as_root(
        BOOTSTRAP_ARGV,
        stdin=request(script_text(script), params),
        deadline=deadline,
        bound=ANSWER_BOUND,
    )
    data = _data(_answer(result, script), script)
    fault = contract_fault(f"{script}.out", data)
    if fault:
        raise HostAnswerInvalid(f"{script}: the host's answer is not in the agreed form: {fault}")
    return cast("Mapping[str, object]", data)


def request(script: str, params: Mapping[str, object]) -> bytes:
    """Return what the bootstrap reads from stdin. ValueError when that is too much for a host."""
    body = json.dumps({"script": script, "params": params})
    if len(body) > REQUEST_BOUND:
        raise ValueError(f"the request has {len(body)} characters, at most {REQUEST_BOUND} go")
    # The highest level takes twice as long for 3% less.
    return base64.b64encode(gzip.compress(body.encode(), compresslevel=4, mtime=0))


def parse_json(text: str | bytes) -> object:
    """Read JSON that a host wrote. ValueError with the reason for whatever is not plain JSON."""
    data = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
    if data.count(b"[") + data.count(b"{") + data.count(b",") > VALUES_BOUND:
        raise ValueError(f"more than {VALUES_BOUND} values")
    try:
        value: object = json.loads(text, parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeError:
        raise ValueError("text that stands for no characters") from None
    return value


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _answer(result: CommandResult, script: str) -> Mapping[str, Any]:
    """Return the envelope: the last answer line counts, what stands before it is noise."""
    said = _said(result.stderr)
    if result.dropped_bytes:
        raise ConnectionLost(
            f"{script}: {result.dropped_bytes} bytes of the answer were lost on the way",
            hint="what the script did is unknown: look before repeating it",
        )
    lines = _ANSWER_LINE.findall(result.stdout)
    if not lines:
        raise HostAnswerInvalid(
            f"{script}: no answer line in {len(result.stdout)} bytes of output; PowerShell "
            f"ended with {result.exit_status}{': ' if said else ''}{said}",
            hint="on the host: does powershell.exe start, in full language mode?",
        )
    try:
        value = parse_json(base64.b64decode(lines[-1], validate=True))
    except (ValueError, binascii.Error) as error:
        raise HostAnswerInvalid(f"{script}: the answer line cannot be read: {error}") from None
    fault = contract_fault("answer", value)
    if fault:
        raise HostAnswerInvalid(f"{script}: the answer line is not in the agreed form: {fault}")
    return cast("Mapping[str, Any]", value)


def _data(answer: Mapping[str, Any], script: str) -> object:
    if answer["ok"]:
        return answer["data"]
    error = answer["error"] or {}
    message, hresult = _line(error.get("message", "no reason given")), error.get("hresult", "")
    where = _line(error.get("where", "").partition("\n")[0])
    detail = ", ".join(text for text in (hresult, where) if text)
    said = f"{script} failed on the host: {message}{f' ({detail})' if detail else ''}"
    if hresult == _ACCESS_DENIED:
        raise LoginRefused(
            said,
            hint="the login must be an administrator of the host with an unfiltered token, see "
            "LocalAccountTokenFilterPolicy in docs/how-to/patch-windows.md",
        )
    raise HostAnswerInvalid(said)


def _said(stderr: bytes) -> str:
    """Return the end of what PowerShell complained about, without its XML."""
    text = stderr.decode(errors="replace")
    plain, mark, xml = text.partition("#< CLIXML")
    if mark:
        # Only its end is said; to search for an end from every beginning is slow where none comes.
        errors = re.findall(r'<S S="Error">(.*?)</S>', xml[-_LONGEST_COMPLAINT:], re.DOTALL)
        unmarked = re.sub(
            r"_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), "".join(errors)
        )
        text = f"{plain} {html.unescape(unmarked)}"
    return _line(text)[-300:]


def _line(text: str) -> str:
    """Return a host's words as one line without control or direction characters."""
    # CLIXML writes a sign beyond 16 bits as its two halves.
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return " ".join("".join(sign if sign.isprintable() else " " for sign in whole).split())


def contract_fault(name: str, value: object) -> str:
    """Say where and how a value breaks a contract; empty when it keeps it.

    `name`: a file of `contracts/` without its ending (`facts.out`), or a definition of
    `shared.json` (`answer`, `status`, `job`, …).
    """
    if _check(name)(value):
        return ""
    error = next(iter(_contract(name).iter_errors(value)), None)
    if error is None:
        return ""
    place = "/".join(str(part) for part in error.absolute_path) or "the whole"
    return f"{place}: {_line(error.message)[:300]}"


@cache
def _schemas() -> Mapping[str, Any]:
    folder = files("wavemend").joinpath("windows", "contracts")
    return {
        file.name: json.loads(file.read_text(encoding="ascii"))
        for file in folder.iterdir()
        if file.name.endswith(".json")
    }


@cache
def _contract(name: str) -> Any:
    return _strict()(_schema(name))


@cache
def _check(name: str) -> Check:
    return check_of(_schema(name))


def _schema(name: str) -> Any:
    return _inlined(_schemas().get(f"{name}.json", {"$ref": _SHARED + name}))


def _inlined(schema: Any) -> Any:
    """Put what a reference names in its place. KeyError for a name that is none."""
    match schema:
        case {"$ref": str(place), **beside}:
            named = _inlined(_schemas()["shared.json"]["$defs"][place.removeprefix(_SHARED)])
            return {"allOf": [named], **_inlined(beside)} if beside else named
        case dict():
            return {key: _inlined(value) for key, value in schema.items()}
        case list():
            return [_inlined(value) for value in schema]
        case _:
            return schema


@cache
def _strict() -> Any:
    """Return a validator that takes a pattern for the whole text, and `is_integer` for integers.

    By default `^[a-z]+$` lets a line break at the end pass, as Python's `$` does.
    """

    def whole(_validator: object, pattern: str, value: object, _schema: object) -> Any:
        if isinstance(value, str) and not re.fullmatch(pattern.removesuffix("$"), value):
            yield ValidationError(f"{value[:100]!r} does not match {pattern!r}")

    def integer(_checker: object, value: object) -> bool:
        return is_integer(value)

    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", integer)
    extended: Any = extend
    return extended(Draft202012Validator, {"pattern": whole}, type_checker=types)
