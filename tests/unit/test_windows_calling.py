"""A call sends constant text and data, and takes only an answer in the agreed form for one."""

import base64
import gzip
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavemend.errors import ConnectionLost, HostAnswerInvalid, LoginRefused
from wavemend.transport import CommandResult
from wavemend.windows.calling import (
    BOOTSTRAP_ARGV,
    SCRIPTS,
    WORKERS,
    call,
    contract_fault,
    parse_json,
    request,
    script_digests,
    script_text,
    worker_text,
)

BOOT = {
    "boot_id": "boot-7",
    "last_boot": "2026-02-11T10:20:30Z",
    "uptime_seconds": 9,
    "servicing_in_progress": False,
    "logon_ui_ready": True,
    "scheduled_shutdown": "",
}


@dataclass
class Says:
    """A host that answers one thing, whatever it is asked."""

    stdout: bytes
    stderr: bytes = b""
    exit_status: int = 0
    dropped: int = 0
    asked: list[tuple[tuple[str, ...], bytes]] = field(default_factory=list)
    peer_key: str = ""

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = 0
    ) -> CommandResult:
        assert deadline == 30
        assert bound > 3_000_000
        self.asked.append((tuple(argv), stdin))
        return CommandResult(
            exit_status=self.exit_status,
            stdout=self.stdout,
            stderr=self.stderr,
            dropped_bytes=self.dropped,
            seconds=0.1,
        )

    run_as_root = run

    def close(self) -> None:
        pass


def line(envelope: object) -> bytes:
    return b"WM1:" + base64.b64encode(json.dumps(envelope).encode()) + b"\n"


def answer(data: object, *, ok: bool = True, error: object = None) -> bytes:
    return line({"schema": 1, "ok": ok, "data": data, "error": error})


def ask(host: Says, script: str = "boot", params: Mapping[str, object] | None = None) -> object:
    return call(host, script, params or {}, deadline=30)


def failed(message: str, hresult: str, where: str = "at line 3\nat line 9") -> bytes:
    error = {"message": message, "type": "T", "hresult": hresult, "where": where}
    return answer(None, ok=False, error=error)


def test_an_answer_in_form_is_returned() -> None:
    assert ask(Says(answer(BOOT))) == BOOT


def test_the_last_answer_line_counts_and_noise_before_it_does_not() -> None:
    stdout = b"Welcome to SRV1\r\n" + answer({"boot_id": "old"}) + b"noise\r\n" + answer(BOOT)
    assert ask(Says(stdout.replace(b"\n", b"\r\n"))) == BOOT


def test_the_command_line_is_the_same_for_every_call_and_holds_no_parameter() -> None:
    host = Says(answer({"text": "", "size": 0}))
    ask(host, "journal", {"bytes": 5})
    ask(host, "journal", {"bytes": 6})
    assert [argv for argv, _ in host.asked] == [BOOTSTRAP_ARGV, BOOTSTRAP_ARGV]
    assert host.asked[0][1] != host.asked[1][1]
    assert sum(len(argument) + 3 for argument in BOOTSTRAP_ARGV) < 8_000


def test_the_command_line_is_the_bootstrap_without_its_comments() -> None:
    text = base64.b64decode(BOOTSTRAP_ARGV[-1]).decode("utf-16-le")
    assert "FromBase64String" in text
    assert not [row for row in text.splitlines() if row.startswith("#") or row != row.strip()]


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=30), max_size=4))
def test_parameters_reach_the_host_as_data_whatever_they_hold(params: dict[str, str]) -> None:
    sent = json.loads(gzip.decompress(base64.b64decode(request("the script", params))))
    assert sent == {"script": "the script", "params": params}


def test_equal_requests_are_equal_bytes() -> None:
    assert request("x", {"a": 1}) == request("x", {"a": 1})


def test_a_request_that_no_host_could_read_is_our_bug() -> None:
    with pytest.raises(ValueError, match="1500000 go"):
        request("x" * 1_600_000, {})


@pytest.mark.parametrize(
    ("script", "params"),
    [
        ("journal", {}),
        ("journal", {"bytes": "5"}),
        ("journal", {"bytes": 5, "more": 1}),
        ("job_status", {"job_id": "../../x", "log_bytes": 1, "wait_seconds": 0}),
        ("job_status", {"job_id": "abcdefgh\n", "log_bytes": 1, "wait_seconds": 0}),
        ("job_status", {"job_id": "abcdefgh", "log_bytes": 1.0, "wait_seconds": 0}),
        ("job_status", {"job_id": "abcdefgh", "log_bytes": 1, "wait_seconds": 21}),
    ],
)
def test_parameters_out_of_form_are_our_bug_and_send_nothing(
    script: str, params: Mapping[str, object]
) -> None:
    host = Says(answer({}))
    with pytest.raises(ValueError, match=f"parameters of {script}"):
        ask(host, script, params)
    assert host.asked == []


@pytest.mark.parametrize(
    ("stdout", "said"),
    [
        (b"", "no answer line in 0 bytes"),
        (b"WM1:\n", "no answer line"),
        (b"xWM1:e30=\n", "no answer line"),
        (b"WM1:e30\n", "cannot be read"),
        (b"WM1:" + base64.b64encode(b"[1") + b"\n", "cannot be read"),
        (b"WM1:" + base64.b64encode(b'{"schema": NaN}') + b"\n", "NaN is no number"),
        (b"WM1:" + base64.b64encode(b"[" * 100_000) + b"\n", "nested too deeply"),
        (answer("\ud800"), "stands for no characters"),
        (answer([[]] * 400_000), "more than 400000 values"),
        (answer({**BOOT, "uptime_seconds": 2**63}), "uptime_seconds"),
        (answer({**BOOT, "uptime_seconds": 10**400}), "uptime_seconds"),
        (line({"schema": 2, "ok": True, "data": {}, "error": None}), "schema"),
        (answer({**BOOT, "uptime_seconds": "9"}), "uptime_seconds"),
        (answer({**BOOT, "boot_id": "boot-7\n"}), "boot_id"),
        (answer({**BOOT, "more": 1}), "more"),
        (answer(BOOT, ok=False), "no reason given"),
    ],
)
def test_an_answer_out_of_form_is_said_with_its_place(stdout: bytes, said: str) -> None:
    with pytest.raises(HostAnswerInvalid, match=said) as caught:
        ask(Says(stdout, exit_status=1))
    assert caught.value.message.startswith("boot")


def test_output_that_did_not_come_whole_is_no_answer_even_with_an_answer_line() -> None:
    with pytest.raises(ConnectionLost, match="7 bytes of the answer were lost"):
        ask(Says(answer(BOOT), dropped=7))


def test_what_powershell_complained_about_is_said_without_its_xml() -> None:
    xml = (
        b'#< CLIXML\r\n<Objs Version="1.1.0.1"><S S="Error">Cannot find_x000D__x000A_</S>'
        b'<S S="Error">&lt;module&gt;</S><S S="verbose">hidden</S></Objs>'
    )
    with pytest.raises(HostAnswerInvalid, match="ended with -1073741510: Cannot find <module>"):
        ask(Says(b"", stderr=xml, exit_status=-1073741510))


def test_signs_that_steer_a_terminal_or_stand_for_nothing_are_not_said() -> None:
    xml = b'#< CLIXML<S S="Error">red_x001B_[2J a_xD83D__xDE00_b_xD83D_c</S>'
    with pytest.raises(HostAnswerInvalid, match="no answer line") as caught:
        ask(Says(b"", stderr=xml))
    assert caught.value.message.endswith(": red [2J a\U0001f600b\ufffdc")
    with pytest.raises(HostAnswerInvalid, match=r"failed on the host: one \[2J two three$"):
        ask(Says(failed("one\x1b[2J\r\ntwo\u202ethree", "", "")))


def test_a_complaint_without_an_end_costs_no_time() -> None:
    began = time.process_time()
    with pytest.raises(HostAnswerInvalid, match="no answer line"):
        ask(Says(b"", stderr=b"#< CLIXML" + b'<S S="Error">' * 20_000))
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("build", "10.0.20348.4171", "10.0.20348." + "9" * 300),
        ("base64", "dGV4dA==", "A"),
        ("base64", "", "AAAAA"),
        ("base64", "AAA=", "AAA"),
        ("seconds_up", 3_153_600_000, 10**11),
    ],
)
def test_what_is_counted_or_decoded_later_can_be(name: str, good: object, bad: object) -> None:
    assert contract_fault(name, good) == ""
    assert contract_fault(name, bad).startswith("the whole: ")


def test_a_script_that_failed_says_why_and_where() -> None:
    with pytest.raises(HostAnswerInvalid, match="failed on the host: out of ideas") as caught:
        ask(Says(failed("out of ideas", "0x80070070"), exit_status=1))
    assert "(0x80070070, at line 3)" in caught.value.message


def test_access_denied_is_a_login_that_is_no_administrator() -> None:
    with pytest.raises(LoginRefused, match="LocalAccountTokenFilterPolicy"):
        ask(Says(failed("Access is denied", "0x80070005"), exit_status=1))


def test_every_text_is_known_by_its_digest() -> None:
    digests = script_digests()
    assert sorted(digests.values()) == sorted((*SCRIPTS, *WORKERS))
    assert all(len(digest) == 64 for digest in digests)


@pytest.mark.parametrize("text", [script_text, worker_text])
def test_only_shipped_texts_are_sent(text: object) -> None:
    assert callable(text)
    with pytest.raises(ValueError, match="there are: "):
        text("../secrets")


def test_the_largest_start_fits_into_a_request() -> None:
    approved = [{"update_id": "0" * 36, "revision": 200} for _ in range(500)]
    params = {
        "job_id": "a" * 64,
        "kind": "install",
        "worker": max((worker_text(name) for name in WORKERS), key=len),
        "params_json": json.dumps({"approved": approved}),
        "time_limit_minutes": 240,
        "nonce": "n" * 64,
        "fence": 1,
        "not_after": 2,
        "mutating": True,
    }
    assert contract_fault("start_job.in", params) == ""
    assert len(request(script_text("start_job"), params)) < 64_000


def test_json_of_a_host_is_read_as_it_is() -> None:
    assert parse_json('{"a": [1, "\\u00e4"]}') == {"a": [1, "\u00e4"]}


def test_a_name_is_looked_up_among_files_and_shared_objects() -> None:
    assert contract_fault("boot.out", BOOT) == ""
    assert contract_fault("kb", "KB5075906") == ""
    assert contract_fault("kb", "5075906").startswith("the whole: ")
