"""The block keeps to Prefect's rules for blocks, and takes no secrets."""

import pytest
from prefect.blocks.core import Block
from prefect.testing.standard_test_suites.blocks import BlockStandardTestSuite
from pydantic import ValidationError

from blocks.site import WavemendSite


class TestTheSiteBlock(BlockStandardTestSuite):
    """Prefect's own checks; they need no server."""

    @pytest.fixture
    def block(self) -> type[WavemendSite]:
        return WavemendSite

    @pytest.mark.skip(reason="the documentation travels with the checkout and has no address")
    def test_has_a_documentation_url(self, block: type[Block]) -> None:
        """Not here."""

    @pytest.mark.skip(reason="a logo would be fetched from elsewhere, by every browser")
    def test_has_a_valid_image(self, block: type[Block]) -> None:
        """Not here."""


@pytest.mark.parametrize("ledger", ["postgresql://u:secret@db/wavemend", "sqlite:///x.db"])
def test_a_ledgers_url_is_refused_because_prefect_would_keep_its_password(ledger: str) -> None:
    with pytest.raises(ValidationError, match="a reference is needed"):
        WavemendSite(home="/srv/wavemend", ledger=ledger)
