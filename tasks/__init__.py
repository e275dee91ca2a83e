"""Prefect tasks: names, tags, retries of reads, artifacts. Decisions live in `wavemend`."""
