"""Bring the documents of one feed together, from addresses or from a folder."""

from pathlib import Path

from wavemend.errors import FeedError, FeedRejected
from wavemend.feeds import Feed
from wavemend.feeds.results import RefreshConfig
from wavemend.feeds.store.snapshots_staging import Staging


def collect(feed: Feed, config: RefreshConfig, fresh: Staging) -> str:
    """Bring the documents from the first source that has them all, and say which it was."""
    if config.directory is not None:
        return _collect_folder(feed, config.directory / feed.name, fresh)
    chosen = config.sources.get(feed.name)
    sources = (chosen,) if chosen else feed.sources
    if not sources:
        raise FeedError(
            f"feed {feed.name} has no address of its own: name one, --source {feed.name}=URL "
            "(repositories: RELEASE=URL, as in almalinux-9=https://…)."
        )
    troubles: list[str] = []
    for source in sources:
        fresh.restart()
        try:
            feed.download(source, fresh)
        except FeedError as error:
            troubles.append(error.message)
            continue
        return source
    raise FeedRejected(" Then: ".join(troubles))


def _collect_folder(feed: Feed, folder: Path, fresh: Staging) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    taken = [pair for pair in zip(files, names, strict=True) if feed.accepts(pair[1])]
    if not taken:
        raise FeedRejected(f"{folder} holds no document of feed {feed.name}.")
    for path, name in taken:
        fresh.copy(path, name)
    return str(folder)
