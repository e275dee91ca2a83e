"""CISA's SSVC answers, in each of the spellings that feeds have used for them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wavemend.advisories import Ssvc

_EXPLOITATION = {"none": "none", "poc": "poc", "public poc": "poc", "active": "active"}
_AUTOMATABLE = {"yes": True, "no": False}
_IMPACT = {"total": True, "partial": False}
_QUESTIONS: Mapping[str, Mapping[str, object]] = {
    "exploitation": _EXPLOITATION,
    "automatable": _AUTOMATABLE,
    "technicalimpact": _IMPACT,
}


def read_ssvc(content: Mapping[str, Any], source: str) -> tuple[Ssvc | None, str]:
    """Return the answers, and what could not be understood of them; empty: everything was.

    Known forms: `options: [{"Technical Impact": "total"}]`, the same with `technicalImpact`,
    `selections: [{"name": …, "values": […]}]`, and the questions as keys of the content itself.
    A question with no answer, or with several, stays open: it is never guessed.
    """
    answers: dict[str, str] = {}
    troubles: list[str] = []
    for question, value in _pairs(content):
        name = question.replace(" ", "").replace("_", "").lower()
        if name not in _QUESTIONS:
            continue
        word = value.strip().lower() if isinstance(value, str) else ""
        if word in _QUESTIONS[name]:
            answers[name] = word
        else:
            troubles.append(f"SSVC answer {question}: {value!r:.40} is not known")
    if not answers:
        return None, "; ".join(troubles)
    found = Ssvc(
        exploitation=_EXPLOITATION.get(answers.get("exploitation", ""), ""),
        automatable=_AUTOMATABLE.get(answers.get("automatable", "")),
        impact_total=_IMPACT.get(answers.get("technicalimpact", "")),
        source=source,
    )
    return found, "; ".join(troubles)


SsvcSaid = tuple[Ssvc, str]
"""Answers, and when they were given (ISO 8601, or empty)."""


def choose_ssvc(said: Sequence[SsvcSaid]) -> tuple[Ssvc | None, list[str]]:
    """Choose among answers of one record, and say which others contradict.

    CISA's own come first, because the directive they serve asks for those; then the latest.
    """
    if not said:
        return None, []
    chosen, _ = max(said, key=lambda item: (item[0].source == "cisa-adp", item[1]))
    troubles = [
        f"SSVC: {other.source} says {_spoken(other)}; {chosen.source} counts and says "
        f"{_spoken(chosen)}"
        for other, _ in said
        if other.source != chosen.source and _spoken(other) != _spoken(chosen)
    ]
    return chosen, sorted(set(troubles))


def _spoken(answers: Ssvc) -> str:
    words = {True: "yes", False: "no", None: "unknown"}
    return (
        f"exploitation {answers.exploitation or 'unknown'}, "
        f"automatable {words[answers.automatable]}, total impact {words[answers.impact_total]}"
    )


def _pairs(content: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    if "options" not in content and "selections" not in content:
        yield from content.items()
    for key in ("options", "selections"):
        entries = content.get(key)
        for entry in entries if isinstance(entries, list) else []:
            if not isinstance(entry, dict):
                continue
            if isinstance(entry.get("name"), str):
                values = entry.get("values")
                if isinstance(values, list) and len(values) == 1:
                    values = values[0]
                yield entry["name"], values
            else:
                yield from entry.items()
