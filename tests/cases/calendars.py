"""iCalendar documents for tests, made line by line."""

from collections.abc import Sequence


def event(*lines: str, summary: str = "year end", uid: str = "1") -> str:
    """Return one VEVENT; `lines` are its times and whatever else it says."""
    said = [f"UID:{uid}", "DTSTAMP:20260101T000000Z", f"SUMMARY:{summary}", *lines]
    return "\r\n".join(["BEGIN:VEVENT", *said, "END:VEVENT"])


def calendar(*events: str, head: Sequence[str] = ()) -> bytes:
    """Return a whole document."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//tests//EN", *head, *events]
    return ("\r\n".join([*lines, "END:VCALENDAR"]) + "\r\n").encode()


def days(first: str, end: str, summary: str = "year end", uid: str = "1") -> str:
    """Return an all-day event, e.g. from `20261218` until before `20270107`."""
    return event(f"DTSTART;VALUE=DATE:{first}", f"DTEND;VALUE=DATE:{end}", summary=summary, uid=uid)
