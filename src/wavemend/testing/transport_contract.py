"""What every transport must keep: functions that take an open transport and raise AssertionError.

For a new transport, run each function of `CONTRACT` on a fresh connection to a POSIX host:

    @pytest.mark.parametrize("promise", CONTRACT, ids=lambda promise: promise.__name__)
    def test_my_transport_keeps(promise): promise(connect(host, login))
"""

import hashlib
import time
from collections.abc import Callable

from wavemend.errors import ConnectionLost, DeadlinePassed, TransportError
from wavemend.transport import OUTPUT_BOUND, STDERR_BOUND, Transport

MEGABYTE = 1_000_000
SLACK = 4.0
"""Seconds a bound may be overrun on a loaded machine before the promise counts as broken."""

HOSTILE = (
    "plain",
    "",
    "two words",
    "it's",
    '"double"',
    "new\nline",
    "tab\tand\rreturn",
    "*",
    "[a-z]?",
    "$(touch /tmp/wavemend-was-injected)",
    "`id`",
    "$HOME",
    "; rm -rf nothing",
    "&& false",
    "| cat",
    "> file",
    "\\",
    "\\n",
    "!history",
    "~",
    "#comment",
    "{a,b}",
    "ünï\u0444ö\u6f22\U0001f600",
    "\u202eright to left",
    "\x1b[31mred",
    "--",
    "-n",
    "%s%n",
)


def expect(holds: bool, words: str) -> None:
    """Raise AssertionError with plain words where a promise does not hold."""
    if not holds:
        raise AssertionError(words)


def passes_every_argument_unchanged(transport: Transport) -> None:
    """Quotes, newlines, globs, substitutions and any script reach the program as they are."""
    result = transport.run(["printf", r"%s\0", *HOSTILE], deadline=30)
    got = tuple(result.stdout.decode().split("\0"))[:-1]
    expect(got == HOSTILE, f"arguments were changed: {set(got) ^ set(HOSTILE)}")


def takes_the_exit_status_from_the_protocol(transport: Transport) -> None:
    """What the command prints about itself is not believed."""
    for status in (0, 1, 3, 100, 127, 255):
        script = f"echo SUCCESS RC:0; exit {status}"
        got = transport.run(["sh", "-c", script], deadline=30).exit_status
        expect(got == status, f"exit status {status} came back as {got}")


def says_127_for_a_program_that_is_missing(transport: Transport) -> None:
    """As a shell does, with words on stderr."""
    result = transport.run(["wavemend-no-such-program", "x"], deadline=30)
    expect(result.exit_status == 127 and bool(result.stderr), f"got {result}")


def keeps_streams_apart_and_bytes_as_they_are(transport: Transport) -> None:
    """Escapes, carriage returns and invalid UTF-8 are data."""
    script = r"printf 'out\033[2J\r\377\376'; printf 'err\000x' >&2"
    result = transport.run(["sh", "-c", script], deadline=30)
    expect(result.stdout == b"out\x1b[2J\r\xff\xfe", f"stdout was {result.stdout!r}")
    expect(result.stderr == b"err\0x", f"stderr was {result.stderr!r}")


def bounds_a_flood_and_keeps_its_head_and_tail(transport: Transport) -> None:
    """50 MB of output cost half a MiB; the rest is counted."""
    script = "echo first; head -c 50000000 /dev/zero; echo last"
    result = transport.run(["sh", "-c", script], deadline=120)
    size = 50 * MEGABYTE + len("first\nlast\n")
    expect(result.exit_status == 0, f"exit status {result.exit_status}")
    expect(len(result.stdout) <= OUTPUT_BOUND, f"{len(result.stdout)} bytes were kept")
    expect(len(result.stdout) + result.dropped_bytes == size, "bytes are missing in the count")
    expect(result.stdout.startswith(b"first\n\0"), "the head is missing")
    expect(result.stdout.endswith(b"\0last\n"), "the tail is missing")


def keeps_short_output_whole(transport: Transport) -> None:
    """Output of exactly the bound loses nothing; one byte more loses one byte in the middle."""
    for size, dropped in ((4096, 0), (4097, 1)):
        argv = ["sh", "-c", 'head -c "$1" /dev/zero', "sh", str(size)]
        result = transport.run(argv, deadline=30, bound=4096)
        got = (len(result.stdout), result.dropped_bytes)
        expect(got == (4096, dropped), f"{size} bytes came back as {got}")


def drains_stderr_while_stdout_is_open(transport: Transport) -> None:
    """20 MB on stderr before the first byte on stdout neither block it nor make it less whole."""
    script = "head -c 20000000 /dev/zero >&2; echo done"
    result = transport.run(["sh", "-c", script], deadline=60)
    expect(result.stdout == b"done\n", f"stdout was {result.stdout!r}")
    expect(result.dropped_bytes == 0, "what stderr lost is counted as lost from stdout")
    expect(len(result.stderr) + result.dropped_stderr == 20 * MEGABYTE, "stderr is not whole")
    expect(len(result.stderr) <= STDERR_BOUND, f"{len(result.stderr)} bytes were kept")


def ends_a_slow_drip_at_the_deadline(transport: Transport) -> None:
    """A command that always says a little more is still over when its time is."""
    script = "while :; do echo still here; sleep 0.2; done"
    _ends_at_the_deadline(transport, script)


def ends_silence_at_the_deadline(transport: Transport) -> None:
    """A command that says nothing is over when its time is."""
    _ends_at_the_deadline(transport, "sleep 30")


def _ends_at_the_deadline(transport: Transport, script: str) -> None:
    started = time.monotonic()
    try:
        result = transport.run(["sh", "-c", script], deadline=1.5)
    except DeadlinePassed:
        seconds = time.monotonic() - started
        expect(1.4 <= seconds <= 1.5 + SLACK, f"it ended after {seconds:.1f} s")
    else:
        raise AssertionError(f"no deadline was seen: {result}")


def delivers_a_large_stdin_whole(transport: Transport) -> None:
    """5 MB of stdin arrive unchanged and are followed by the end of file."""
    data = bytes(range(256)) * 20_000
    result = transport.run(["sha256sum"], stdin=data, deadline=60)
    got = result.stdout.split()[0].decode()
    expect(got == hashlib.sha256(data).hexdigest(), "stdin was changed on the way")


def feeds_and_drains_at_the_same_time(transport: Transport) -> None:
    """A command that echoes its large stdin does not deadlock."""
    data = b"x" * (5 * MEGABYTE)
    result = transport.run(["cat"], stdin=data, deadline=60)
    expect(len(result.stdout) + result.dropped_bytes == len(data), "the echo is not whole")


def closes_stdin_when_there_is_none(transport: Transport) -> None:
    """A command that reads its stdin ends at once instead of waiting for somebody to type."""
    result = transport.run(["cat"], deadline=20)
    expect(result.exit_status == 0 and result.seconds < 10, f"got {result}")


def bears_a_command_that_ignores_its_stdin(transport: Transport) -> None:
    """Stdin that nobody reads is no error; the exit status counts."""
    result = transport.run(["sh", "-c", "exit 7"], stdin=b"x" * (5 * MEGABYTE), deadline=30)
    expect(result.exit_status == 7, f"exit status {result.exit_status}")


def waits_for_the_status_after_the_streams_closed(transport: Transport) -> None:
    """A command that closes its output and works on is waited for."""
    result = transport.run(["sh", "-c", "exec >&- 2>&-; sleep 1; exit 5"], deadline=30)
    expect(result.exit_status == 5 and result.seconds >= 0.9, f"got {result}")


def does_not_wait_for_what_runs_on_in_the_background(transport: Transport) -> None:
    """A child that holds the output open does not keep the ended command from being over."""
    result = transport.run(["sh", "-c", "sleep 25 & echo started"], deadline=20)
    expect(result.stdout == b"started\n" and result.exit_status == 0, f"got {result}")


def never_calls_an_end_by_signal_a_success(transport: Transport) -> None:
    """A killed command sends no exit status: unknown. Some login shells stay and say 137."""
    try:
        result = transport.run(["sh", "-c", "kill -9 $$"], deadline=20)
    except ConnectionLost:
        return
    expect(result.exit_status == 128 + 9, f"an exit status was invented: {result}")


def runs_many_commands_on_one_connection(transport: Transport) -> None:
    """A visit is one connection; nothing of a command stays for the next."""
    for number in range(12):
        result = transport.run(["sh", "-c", "echo $1; cat", "sh", str(number)], deadline=30)
        expect(result.stdout == f"{number}\n".encode(), f"got {result}")


def refuses_what_no_program_can_be_given(transport: Transport) -> None:
    """An empty command and a NUL byte are refused here, not cut off there."""
    for argv in ([], ["echo", "a\0b"]):
        try:
            result = transport.run(argv, deadline=20)
        except TransportError:
            continue
        raise AssertionError(f"{argv} was run: {result}")


def refuses_commands_once_closed(transport: Transport) -> None:
    """After `close`, which may be called twice, no command is started."""
    transport.close()
    transport.close()
    try:
        result = transport.run(["true"], deadline=20)
    except ConnectionLost:
        return
    raise AssertionError(f"a closed connection ran a command: {result}")


CONTRACT: tuple[Callable[[Transport], None], ...] = (
    passes_every_argument_unchanged,
    takes_the_exit_status_from_the_protocol,
    says_127_for_a_program_that_is_missing,
    keeps_streams_apart_and_bytes_as_they_are,
    bounds_a_flood_and_keeps_its_head_and_tail,
    keeps_short_output_whole,
    drains_stderr_while_stdout_is_open,
    ends_a_slow_drip_at_the_deadline,
    ends_silence_at_the_deadline,
    delivers_a_large_stdin_whole,
    feeds_and_drains_at_the_same_time,
    closes_stdin_when_there_is_none,
    bears_a_command_that_ignores_its_stdin,
    waits_for_the_status_after_the_streams_closed,
    does_not_wait_for_what_runs_on_in_the_background,
    never_calls_an_end_by_signal_a_success,
    runs_many_commands_on_one_connection,
    refuses_what_no_program_can_be_given,
    refuses_commands_once_closed,
)
"""The contract, cheapest promises first where the order does not matter."""
