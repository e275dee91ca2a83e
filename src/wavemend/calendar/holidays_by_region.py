"""Public holidays by country and region (ISO 3166), from the `holidays` library."""

from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache

import holidays

from wavemend.errors import CalendarError


@lru_cache(maxsize=512)
def holidays_of(region: str, years: tuple[int, ...]) -> Mapping[date, str]:
    """Return the public holidays of `DE` or `DE-BY` with their names, in the years asked for.

    A holiday that is moved off a weekend counts on both days. Raises CalendarError for a country
    or region nobody keeps holidays of.
    """
    country, _, part = region.partition("-")
    if fault := region_fault(region):
        raise CalendarError(fault)
    # Without a language the names would follow the locale of whoever asks.
    found = holidays.country_holidays(country, subdiv=part or None, years=years, language="en_US")
    return dict(sorted(found.items()))


def region_fault(region: str) -> str:
    """Say why there are no holidays for a country or region; empty when there are."""
    country, _, part = region.partition("-")
    known = holidays.list_supported_countries(include_aliases=False)
    if country not in known:
        return f'no public holidays are known for "{country}"; name days off in a calendar instead'
    if part and part not in known[country]:
        codes = sorted(each for each in known[country] if each.isupper() or each.isdigit())
        parts = ", ".join(f"{country}-{each}" for each in codes) or "none"
        return f'{country} has no region "{part}" with holidays of its own; known: {parts}'
    return ""


def days_off(regions: Iterable[str], years: tuple[int, ...]) -> dict[date, str]:
    """Return the days on which one of the regions has a public holiday, and which one."""
    found: dict[date, str] = {}
    for region in sorted(regions):
        for day, name in holidays_of(region, years).items():
            found.setdefault(day, f"a public holiday ({region}: {name})")
    return found
