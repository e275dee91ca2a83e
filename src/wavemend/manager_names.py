"""The built-in package managers, for whoever checks names and imports no manager."""

MANAGER_NAMES = ("apk", "apt", "dnf", "pacman", "windows_update", "zypper")
"""As in `managers.MANAGERS`, sorted."""
