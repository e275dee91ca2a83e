"""The reference of declaration files, written from their schema: never by hand."""

import json

from wavemend.inventory.fleet_docs import reference
from wavemend.inventory.manager_schema import json_schema

_HEAD = """\
# The declaration of a manager

One YAML file teaches wavemend one kind of device, appliance or application: see
[how to declare a manager](../how-to/declare-a-manager.md). A fleet names it under `managers`, and
`wavemend manager check FILE --host HOST` tries it on a host. Unknown and doubled keys are refused,
and nothing is converted.

*This page is written from the schema in `manager.schema.json`, as
`wavemend manager schema --markdown` does.*

## Parameters

Commands are lists of words; no shell reads them, unless the list itself begins with `sh -c`. A
parameter is a whole word or part of one, and its value arrives as it is.

| parameter | stands for | known in |
|---|---|---|
| `{name}` | the item | `available`, `verify`, `rehearse`, `apply`, `roll_back`, `kept` |
| `{installed}` | its installed version | `available`, `verify` |
| `{version}` | the version to bring in | `rehearse`, `apply`, `roll_back`, `kept` |

Names are at most 200 of `A-Z a-z 0-9 @ _ . + : ~ / -`, versions at most 200 of
`A-Z a-z 0-9 . _ + : ~ ^ ! @ -`; none begins with a dash. An item that is called otherwise is
reported as unreadable. Inside the text of `sh -c` a parameter is refused: hand it over as an
argument.

## Outputs

At most 1.5 MiB of an answer are read, lines of at most 4,096 characters, and a search in one line
may take a tenth of a second.
"""


def manager_reference() -> str:
    """Return `docs/reference/manager.md`."""
    return reference(_HEAD, json_schema())


def manager_schema_text() -> str:
    """Return `docs/reference/manager.schema.json`."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
