"""The installation a run works for."""

from pathlib import Path

from prefect.blocks.core import Block
from pydantic import Field, field_validator

from wavemend import site


class WavemendSite(Block):
    """Where one installation keeps its ledger, feeds, reports and list of signers.

    Holds places and references only. What a reference stands for (`file:`, `env:`, `command:`)
    is looked up in the worker, when it is needed.
    """

    # Type names are global to a Prefect server, so they carry the product's name.
    _block_type_name = "Wavemend Site"
    _block_type_slug = "wavemend-site"

    home: str = Field(
        description="Folder on the worker for ledger, feed copies, reports and the STOP file.",
    )
    ledger: str = Field(
        default="",
        description="Reference to the ledger's URL, e.g. env:WAVEMEND_LEDGER_URL. "
        "Empty: a SQLite file in the home folder.",
    )
    signers: str = Field(
        default="",
        description="Path of the OpenSSH allowed-signers file on the worker. "
        "Empty: the file 'signers' in the home folder.",
    )

    @field_validator("ledger")
    @classmethod
    def _only_a_reference(cls, value: str) -> str:
        """Keep passwords out of Prefect's database."""
        if value and not value.startswith(("env:", "file:", "command:")):
            raise ValueError("a reference is needed (env:NAME, file:PATH or command:…), not a URL")
        return value

    def to_core(self) -> site.Site:
        """Return the plain value the core works with."""
        return site.Site(home=Path(self.home), ledger=self.ledger, signers=self.signers)
