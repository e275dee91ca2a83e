"""A line that is cut for five minutes in the middle of a transaction changes nothing of its end."""

import pytest

from tests.live.cutting import CUT_SECONDS, CutLine

pytestmark = [pytest.mark.live, pytest.mark.timeout(CUT_SECONDS + 300)]


def test_a_transaction_goes_on_while_its_line_is_cut_and_its_true_end_is_read_afterwards(
    cut_line: CutLine | None,
) -> None:
    if cut_line is None:
        pytest.skip("a network that can be cut needs the lab of real hosts")
    cut = cut_line.result()  # the host's journal and package log were judged already

    assert cut.seconds >= CUT_SECONDS
    assert cut.during == "running", "it was not given up, and not called anything, while unseen"
    assert cut.lost, "the ledger says since when the host does not answer"
    assert cut.events.count("attempt.lost") == cut.events.count("attempt.found") == 1
    assert cut.tries == 1
    starts = [place for place in cut.places if place.site == "execution/jobs.py start_job run"]
    assert [place.side for place in starts] == ["before", "after"], "it was not repeated"
    assert cut.evidence is not None
    assert cut.evidence.job_exit_status == 0
    assert "Setting up wm-slow (2.0)" in cut.evidence.log_tail
    lost = [place for place in cut.places if place.site == "execution/lost.py Watch.lost writing"]
    assert [place.side for place in lost] == ["before", "after"]
