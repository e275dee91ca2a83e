"""The log of a run: what hosts, feeds and people say in it is spelled out, sign by sign.

It is read in Prefect's pages and on the worker's terminal, where a reason that a host wrote must
neither move the cursor nor look like a line of ours.
"""

import logging
from typing import TypeAlias

from prefect import get_run_logger

from wavemend.cli.shown import spelled, spelled_lines

Logger: TypeAlias = "logging.Logger | logging.LoggerAdapter[logging.Logger]"


class RunLog:
    """Prefect's logger of the run at hand; sentences are ours, values may be anybody's."""

    def __init__(self, log: Logger) -> None:
        """Log to this logger."""
        self._log = log

    def log(self, level: int, sentence: str, *values: object) -> None:
        """Log one line; numbers stay numbers, for `%d`."""
        told = [value if isinstance(value, int) else spelled(str(value)) for value in values]
        self._log.log(level, sentence, *told)

    def info(self, sentence: str, *values: object) -> None:
        """Log what went as it should."""
        self.log(logging.INFO, sentence, *values)

    def warning(self, sentence: str, *values: object) -> None:
        """Log what somebody should look at."""
        self.log(logging.WARNING, sentence, *values)

    def text(self, text: str) -> None:
        """Log several lines as one record."""
        self._log.info("%s", spelled_lines(text))


def run_log() -> RunLog:
    """Return the log of the task or flow that is running."""
    return RunLog(get_run_logger())
