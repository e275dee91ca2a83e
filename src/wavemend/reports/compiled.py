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


class CompiledTemplates(BytecodeCache):
    """Compiled templates in a folder, each named by all that it was made of.

    `settings`: what else than its text decides how a template is compiled.
    """

    def __init__(self, settings: bytes, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._settings = settings

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
            self._folder.mkdir(exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
                file.write(hashlib.sha256(code).digest() + code)
            made = Path(file.name)
            made.chmod(0o644)
            made.replace(self._path(bucket))  # whole or not at all

    def _path(self, bucket: Bucket) -> Path:
        made_of = (bucket.key, bucket.checksum, jinja2.__version__, self._settings.hex())
        name = hashlib.sha256("\0".join(made_of).encode()).hexdigest()[:32]
        return self._folder / f"{name}.{sys.implementation.cache_tag}.template"
