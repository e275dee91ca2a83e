"""A stand-in for apk, NOT apk: there is none for this system. It prints what apk-tools prints.

Run as `apk` under a root directory; its state is `standin.json` there. What it knows: a flat list
of packages with one offered version each, companions that an upgrade takes along, and older
versions. It proves the scripts and the reading, not apk.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

Step = tuple[str, str, str]
"""Name, old version, new version."""


class Standin:
    """One root directory and what is in it. Plain, so that it starts fast: it starts often."""

    def __init__(self, root: Path, *, simulate: bool = False) -> None:
        """Name the root; nothing is read yet."""
        self.root = root
        self.simulate = simulate
        self.state: dict[str, Any] = {}

    def load(self) -> None:
        """Read the state."""
        self.state = json.loads((self.root / "standin.json").read_text())

    def save(self) -> None:
        """Write the state, and apk's own list of installed packages."""
        (self.root / "standin.json").write_text(json.dumps(self.state))
        lines = []
        for name, version in sorted(self.state["installed"].items()):
            origin = self.state.get("origins", {}).get(name, name)
            faults = self.state.get("broken", {}).get(name, "")
            lines += [f"P:{name}", f"V:{version}", "A:x86_64", f"o:{origin}"]
            lines += [f"f:{faults}"] if faults else []
            lines += ["F:usr/bin", f"R:{name}", ""]
        (self.root / "lib/apk/db").mkdir(parents=True, exist_ok=True)
        (self.root / "lib/apk/db/installed").write_text("\n".join(lines) + "\n")
        world = "".join(f"{word}\n" for word in self.state["world"])
        (self.root / "etc/apk/world").write_text(world)

    def do_update(self, _words: list[str]) -> int:
        """Renew the index."""
        if self.state.get("unreachable"):
            address = "https://mirror.lab/v3.19/main"
            print(f"WARNING: fetching {address}: temporary error (try again later)")
            print("1 unavailable, 0 stale; 20 distinct packages available")
            return 1
        print("OK: 20 distinct packages available")
        return 0

    def do_list(self, _words: list[str]) -> int:
        """List what is upgradable."""
        for name, new in sorted(self.state["offered"].items()):
            old = self.state["installed"].get(name, "")
            if old and old != new:
                told = f"[upgradable from: {name}-{old}]"
                print(f"{name}-{new} x86_64 {{{name}}} (GPL-2.0-only) {told}")
        return 0

    def do_upgrade(self, words: list[str]) -> int:
        """Upgrade these, or all, with what goes along or away."""
        wanted = words or sorted(self.state["installed"])
        pinned = {word.partition("=")[0] for word in self.state["world"] if "=" in word}
        for name in wanted:
            along = self.state.get("along", {}).get(name, [])
            wanted += [item for item in along if item not in wanted]
        steps: list[Step] = []
        for name in sorted(set(wanted) - pinned):
            old, new = (self.state[key].get(name, "") for key in ("installed", "offered"))
            if new and new != old:
                gone = self.state.get("removes", {}).get(name, [])
                steps += [(name, old, new), *((each, "1-r0", "") for each in gone)]
        return self.carry_out(steps)

    def do_add(self, words: list[str]) -> int:
        """Bring exactly these versions, and put them into world."""
        steps: list[Step] = []
        for word in words:
            name, _, version = word.partition("=")
            known = (self.state["offered"].get(name), *self.state.get("older", {}).get(name, []))
            if version not in known:
                said = f"  {name}-{self.state['offered'][name]}:\n    breaks: world[{word}]"
                print(f"ERROR: unable to select packages:\n{said}", file=sys.stderr)
                return 1
            steps.append((name, self.state["installed"].get(name, ""), version))
            self.state["world"] = [*(w for w in self.state["world"] if w != name), word]
        return self.carry_out(steps)

    def do_fix(self, _words: list[str]) -> int:
        """Mend what is broken."""
        self.state["broken"] = {}
        return self.carry_out([])

    def do_info(self, words: list[str]) -> int:
        """Say who owns a file."""
        print(f"{words[-1]} is owned by conf-1.1-r0")
        return 0

    def carry_out(self, steps: list[Step]) -> int:
        """Print the steps, and do them unless it is a simulation; return the number of errors."""
        errors = 0
        for number, (name, old, new) in enumerate(steps, 1):
            action, what = "Upgrading", f"{old} -> {new}"
            if not new:
                action, what = "Purging", old
            elif not old:
                action, what = "Installing", new
            elif self.state["offered"].get(name) != new:
                action = "Downgrading"
            print(f"({number}/{len(steps)}) {action} {name} ({what})")
            if not self.simulate:
                errors += self.carry_one(name, new)
        words = f"{errors} error{'s' * (errors > 1)};" if errors else "OK:"
        print(f"{words} 8 MiB in {len(self.state['installed'])} packages")
        if not self.simulate:
            self.save()
        return errors

    def carry_one(self, name: str, new: str) -> int:
        """Do one step; return how many errors it made."""
        self.state["installed"].pop(name, None)
        if not new:
            return 0
        self.state["installed"][name] = new
        if name == self.state.get("conffile"):
            (self.root / "etc/conf.apk-new").write_text(f"of {new}\n")
        if name not in self.state.get("fails", []):
            return 0
        print(f"ERROR: {name}-{new}.post-upgrade: script exited with error 1", file=sys.stderr)
        self.state.setdefault("broken", {})[name] = "s"
        return 1


def main(argv: list[str]) -> int:
    """Read the command line as apk does, and run one applet."""
    words: list[str] = []
    flags: set[str] = set()
    rest = iter(argv)
    for word in rest:
        if word in {"--cache-max-age", "--wait"}:
            next(rest)
        elif word.startswith("--"):
            flags.add(word)
        else:
            words.append(word)
    if "--print-arch" in flags:
        print("x86_64")
        return 0
    apk = Standin(Path(os.environ["WAVEMEND_ROOT"]), simulate="--simulate" in flags)
    apk.load()
    if apk.state.get("locked") and words[0] in {"upgrade", "add", "fix"} and not apk.simulate:
        print("ERROR: Unable to lock database: temporarily unavailable", file=sys.stderr)
        print("ERROR: Failed to open apk database: temporarily unavailable", file=sys.stderr)
        return 99
    status: int = getattr(apk, f"do_{words[0]}")(words[1:])
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
