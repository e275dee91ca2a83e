"""The templates in compiled form, kept beside them as Python keeps its modules' own.

Compiling takes longer than printing a page of two hundred hosts. Whoever may write where they are
kept may change the code as well.
"""

import hashlib
import marshal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import CodeType

import jinja2
from jinja2.bccache import Bucket, BytecodeCache

FOLDER = Path(__file__).parent / "templates" / "__pycache__"

_NAMED = (
    "autoescape",
    "optimized",
    "is_async",
    "sandboxed",
    "trim_blocks",
    "lstrip_blocks",
    "keep_trailing_newline",
    "newline_sequence",
    "block_start_string",
    "block_end_string",
    "variable_start_string",
    "variable_end_string",
    "comment_start_string",
    "comment_end_string",
    "line_statement_prefix",
    "line_comment_prefix",
)
"""The settings of Jinja's that its lexer and its compiler ask for."""


class CompiledTemplates(BytecodeCache):
    """Compiled templates in a folder, each named by all that it was made of."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder

    def load_bytecode(self, bucket: Bucket) -> None:
        """Load what was kept; what is not there, or not whole, is compiled anew."""
        with suppress(OSError, EOFError, ValueError, TypeError):
            kept = self._path(bucket).read_bytes()
            if hashlib.sha256(kept[32:]).digest() == kept[:32]:
                code = marshal.loads(kept[32:])  # noqa: S302 - our own, as whole as we wrote it
                bucket.code = code if isinstance(code, CodeType) else None

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it, unless Python keeps nothing here or somebody else installed the package."""
        if sys.dont_write_bytecode or bucket.code is None:
            return
        code = marshal.dumps(bucket.code)
        with suppress(OSError):
            self._folder.mkdir(mode=0o755, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._folder, ignore_cleanup_errors=True) as own:
                made = Path(own, "made")
                made.write_bytes(hashlib.sha256(code).digest() + code)
                made.chmod(0o644)
                made.replace(self._path(bucket))  # whole or not at all

    def _path(self, bucket: Bucket) -> Path:
        settings = _settings(bucket.environment)
        made_of = (bucket.key, bucket.checksum, jinja2.__version__, settings)
        name = hashlib.sha256("\0".join(made_of).encode()).hexdigest()[:32]
        return self._folder / f"{name}.{sys.implementation.cache_tag}.template"


def _settings(environment: jinja2.Environment) -> str:
    """Return what of an environment decides how a template is compiled, besides its text.

    Of this one, not of the code on disk: an upgrade may have come while the process runs.
    """
    named = {name: getattr(environment, name) for name in _NAMED}
    called = ({"": environment.finalize}, environment.filters, environment.tests)
    taking = [
        [(name, getattr(known[name], "jinja_pass_arg", None)) for name in sorted(known)]
        for known in called
    ]
    return repr((named, sorted(environment.extensions), taking))
