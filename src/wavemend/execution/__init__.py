"""Changing one host: the right to start, the detached job, the reboot, the second look."""
