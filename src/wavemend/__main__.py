"""`python -m wavemend` is the `wavemend` command."""

from wavemend.cli import main

if __name__ == "__main__":
    main()
