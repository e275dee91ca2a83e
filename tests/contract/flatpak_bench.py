"""A real flatpak with a system installation and a repository of its own, in a private folder."""

import shutil
import subprocess
from pathlib import Path

PROGRAMS = ("flatpak", "ostree")


def lacks() -> str:
    """Say which program this machine lacks; empty when none."""
    return ", ".join(name for name in PROGRAMS if shutil.which(name) is None)


class FlatpakRoot:
    """One installation and one remote, `lab`, that offers an application and its runtime."""

    def __init__(self, folder: Path) -> None:
        """Make both; nothing of this machine's own flatpaks is read or written."""
        self.folder = folder
        self.repository = folder / "repository"
        self.environment = {
            "FLATPAK_SYSTEM_DIR": str(folder / "system"),
            "FLATPAK_USER_DIR": str(folder / "user"),
            "XDG_DATA_HOME": str(folder / "data"),
            "HOME": str(folder),
        }
        folder.mkdir(parents=True)
        self._export("Runtime", "org.lab.Platform", "1", "1")
        self.publish("1.0")
        self.run("remote-add", "--no-gpg-verify", "lab", f"file://{self.repository}")

    def publish(self, text: str, *, runtime: str = "1", app: str = "org.lab.Tool") -> None:
        """Offer one version of the application."""
        self._export("Application", app, "stable", text, runtime=runtime)

    def _export(self, kind: str, name: str, branch: str, text: str, *, runtime: str = "1") -> None:
        build = self.folder / "build"
        shutil.rmtree(build, ignore_errors=True)
        (build / "files").mkdir(parents=True)
        (build / "export").mkdir()
        (build / "usr").mkdir()
        (build / "files/version").write_text(text)
        platform = f"org.lab.Platform/x86_64/{runtime}"
        (build / "metadata").write_text(
            f"[{kind}]\nname={name}\nruntime={platform}\nsdk={platform}\ncommand=tool\n"
        )
        extra = ("--runtime",) if kind == "Runtime" else ()
        self._flatpak(
            "build-export", *extra, "--disable-sandbox", str(self.repository), str(build), branch
        )
        self._flatpak("build-update-repo", str(self.repository))

    def run(self, *argv: str) -> str:
        """Run flatpak on the system's installation."""
        return self._flatpak("--system", *argv)

    def _flatpak(self, *argv: str) -> str:
        done = subprocess.run(
            ["flatpak", *argv],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def install(self, app: str = "org.lab.Tool") -> None:
        """Install the application as it is offered now."""
        self.run("install", "-y", "--noninteractive", "lab", app)
