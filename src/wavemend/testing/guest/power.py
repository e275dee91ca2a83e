"""shutdown, reboot and poweroff of a simulated host: they ask the process that plays it."""

import json
import os
import socket
from pathlib import Path

from wavemend.testing.guest.store import Store, complain, say


def main(tool: str, arguments: list[str]) -> int:
    """Ask for a reboot or for power-off; the host goes down a moment later, as a real one does."""
    store = Store()
    if "-c" in arguments:
        return 0
    if not store.is_root:
        complain("Call to Reboot failed: Interactive authentication required.")
        return 1
    action = "reboot" if tool == "reboot" or "-r" in arguments or "--reboot" in arguments else "off"
    settings = json.loads(Path(store.folder.parent.parent, "daemon.json").read_text())
    # The daemon stops this process with the host: the answer may never be read.
    request = {
        "token": settings["token"],
        "verb": "power",
        "host": store.folder.name,
        "action": action,
        "later": 0.3,
    }
    with socket.create_connection(("127.0.0.1", settings["port"]), 10) as connection:
        connection.sendall(json.dumps(request).encode() + b"\n")
        connection.recv(4096)
    if os.environ.get("WAVEMEND_SIM_QUIET") != "1":
        say("Shutdown scheduled for now, use 'shutdown -c' to cancel.")
    return 0
