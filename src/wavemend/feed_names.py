"""The names of the feeds, for whoever may not see the feeds themselves."""

FEED_NAMES = frozenset(
    {
        "almalinux",
        "alpine",
        "arch",
        "cve",
        "debian",
        "debian-support",
        "debian-tracker",
        "endoflife",
        "epss",
        "exploitdb",
        "kev",
        "metasploit",
        "msrc",
        "nuclei",
        "nvd",
        "rocky",
        "rpm",
        "suse",
        "ubuntu",
        "ubuntu-notices",
    }
)
"""`wavemend.feeds.FEEDS` has exactly these; a test compares the two."""
