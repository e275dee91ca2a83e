"""A selector selects what Kubernetes would select, or is refused with its position."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavemend.errors import FleetError
from wavemend.selectors import Operator, Requirement, Selector, parse_selector

WEB = {"role": "web", "env": "prod", "ring": "pilot"}

names = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9._-]{0,8}[a-zA-Z0-9])?", fullmatch=True)
keys = st.one_of(
    names, st.builds("{}/{}".format, names, names), st.sampled_from(["in", "notin", "exists"])
)
values = st.lists(names, min_size=1, max_size=4, unique=True).map(lambda v: tuple(sorted(v)))
requirements = st.one_of(
    st.builds(Requirement, key=keys, operator=st.sampled_from([Operator.EXISTS, Operator.ABSENT])),
    st.builds(
        Requirement,
        key=keys,
        operator=st.sampled_from([Operator.EQUALS, Operator.DIFFERS]),
        values=names.map(lambda value: (value,)),
    ),
    st.builds(
        Requirement,
        key=keys,
        operator=st.sampled_from([Operator.IN, Operator.NOT_IN]),
        values=values,
    ),
)
selectors = st.builds(
    Selector, requirements=st.lists(requirements, min_size=1, max_size=5).map(tuple)
)


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("role=web", True),
        ("role==web", True),
        ("role = db", False),
        ("role!=web", False),
        ("tier!=gold", True),  # as in Kubernetes: a host without the label differs, too
        ("role in (api,web)", True),
        ("role in (api, db)", False),
        ("tier in (gold)", False),
        ("role notin (api,db)", True),
        ("tier notin (gold)", True),
        ("ring", True),
        ("tier", False),
        ("!tier", True),
        ("!ring", False),
        ("role in (web,api), env!=dev, ring, !legacy", True),
        ("role in (web,api), env!=prod", False),
        ("  role\tin(web) ,env=prod ", True),
    ],
)
def test_a_selector_means_what_it_means_in_kubernetes(text: str, selected: bool) -> None:
    assert parse_selector(text).matches(WEB) is selected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the selector is empty, and empty is not everything"),
        (" \t ", "the selector is empty, and empty is not everything"),
        ("role=", 'selector "role=": character 6: expected a value, found the end'),
        ("=web", 'selector "=web": character 1: expected a label\'s name, found "="'),
        ("role web", 'character 6: expected "=", "!=", "in", "notin" or ",", found "web"'),
        ("role in web", 'character 9: expected "(", found "web"'),
        ("role in (web", 'character 13: expected "," or ")", found the end'),
        ("role in ()", 'character 10: expected a value, found ")"'),
        ("role in (a,)", 'character 12: expected a value, found ")"'),
        ("role=web,", "character 10: expected a label's name, found the end"),
        ("role=web;x", 'character 9: this character has no meaning in a selector, found ";"'),
        ("cpu>4", 'character 4: this character has no meaning in a selector, found ">"'),
        ("role=web env=dev", 'character 10: expected ",", found "env"'),
        ("role=-web", "character 6: a label's value is letters"),
        ("a/b/c", "character 1: a label's name is letters"),
        ("r=" + "x" * 64, "character 3: a label's value has at most 63 characters"),
        ("rôle=web", "character 2: this character has no meaning"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_position(text: str, message: str) -> None:
    with pytest.raises(FleetError) as caught:
        parse_selector(text)

    assert message in caught.value.message


def test_a_selector_without_conditions_cannot_be_made() -> None:
    with pytest.raises(FleetError, match="empty selector"):
        Selector(requirements=())


@given(selectors)
def test_a_printed_selector_reads_back_as_itself(selector: Selector) -> None:
    assert parse_selector(str(selector)) == selector


pieces = st.sampled_from([*"ab1-_./=!(), \t;é\n", "in", "notin"])


@given(st.lists(pieces, max_size=20).map("".join))
def test_any_text_is_a_selector_or_is_refused_in_our_own_words(text: str) -> None:
    try:
        selector = parse_selector(text)
    except FleetError as error:
        assert error.message  # noqa: PT017 - any other exception fails the test
    else:
        assert parse_selector(str(selector)) == selector


@given(requirements, st.dictionaries(names, names, max_size=4))
def test_every_condition_has_an_opposite(requirement: Requirement, labels: dict[str, str]) -> None:
    opposites = {
        Operator.EXISTS: Operator.ABSENT,
        Operator.EQUALS: Operator.DIFFERS,
        Operator.IN: Operator.NOT_IN,
    }
    opposites |= {b: a for a, b in opposites.items()}
    opposite = Requirement(
        key=requirement.key, operator=opposites[requirement.operator], values=requirement.values
    )

    assert requirement.matches(labels) is not opposite.matches(labels)
