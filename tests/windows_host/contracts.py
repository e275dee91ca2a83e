"""Documents held against the contracts, in both directions."""

from wavemend.windows.calling import contract_fault


class StrangerError(Exception):
    """Something came in that wavemend never sends, or went out that no contract allows."""


def hold(name: str, document: object) -> None:
    """Raise StrangerError where a document breaks the contract of that name."""
    if fault := contract_fault(name, document):
        raise StrangerError(f"{name}: {fault}")
