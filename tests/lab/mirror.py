"""The archive's web server, the only thing the hosts can reach."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # apt asks for many files over one connection

    def __init__(self, *args: object, folders: dict[str, Path]) -> None:
        self._folders = folders
        super().__init__(*args)  # type: ignore[arg-type]

    def translate_path(self, path: str) -> str:
        """Map /ARCHIVE/KIND/... to the folder that holds it; anything else is not found."""
        parts = unquote(urlsplit(path).path).strip("/").split("/")
        folder = self._folders.get("/".join(parts[:2]))
        if folder is None or ".." in parts:
            return "/nonexistent"
        return str(folder.joinpath(*parts[2:]))

    def send_head(self):  # type: ignore[no-untyped-def]
        """Answer in full always: two publications in one second share a modification time."""
        del self.headers["If-Modified-Since"]
        return super().send_head()

    def log_message(self, *args: object) -> None:
        """Keep the supervisor's log for what matters."""


def serve(address: str, folders: dict[str, Path]) -> None:
    """Serve the folders, keyed `archive/kind`, from a thread for as long as the process lives."""
    server = ThreadingHTTPServer((address, 80), partial(_Handler, folders=folders))
    server.daemon_threads = True
    Thread(target=server.serve_forever, name="mirror", daemon=True).start()
