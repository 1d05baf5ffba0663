"""The filter language as text: what it means, and what is said where it means nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_server.domain.filters import (
    ATTRIBUTES,
    GRAMMAR,
    MAX_CHARS,
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_VALUES,
    Among,
    And,
    Bare,
    Comparison,
    Field,
    FilterError,
    Not,
    Or,
    Present,
    bare_fields,
    parse_filter,
    resolved,
)

DOCUMENTED = Path(__file__).parents[3] / "docs" / "filters.md"
ACCURACY = Field("summary", "accuracy")
LR = Field("param", "lr")
STATUS = Field(None, "status")
STARTED = Field(None, "started")
TEXT = Field(None, "text")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("summary.accuracy > 0.9", Comparison(ACCURACY, ">", 0.9)),
        ("summary.accuracy>=.5e1", Comparison(ACCURACY, ">=", 5.0)),
        ("param.lr = -3", Comparison(LR, "=", -3.0)),
        ('param.lr != "0.1"', Comparison(LR, "!=", "0.1")),
        ("param.lr = 'it\\'s \\\\ \"so\"'", Comparison(LR, "=", 'it\'s \\ "so"')),
        ('param."learning rate\\"" ~ "x"', Comparison(Field("param", 'learning rate"'), "~", "x")),
        ("param.optimizer.name/2 = TRUE", Comparison(Field("param", "optimizer.name/2"), "=", True)),
        ("param.2d/é > 1", Comparison(Field("param", "2d/é"), ">", 1.0)),
        ("param.in in (1, 'two', false)", Among(Field("param", "in"), (1.0, "two", False))),
        ("label.a exists", Present(Field("label", "a"))),
        ('status = "error"', Comparison(STATUS, "=", "error")),
        ('STATUS In ("error")', Among(STATUS, ("error",))),
        ("started > -1.5h", Comparison(STARTED, ">", timedelta(hours=1.5))),
        ("started > 2026-11-26", Comparison(STARTED, ">", datetime(2026, 11, 26, tzinfo=UTC))),
        ('started < "2026-11-26T10:00:01.5"', Comparison(STARTED, "<", datetime(2026, 11, 26, 10, 0, 1, 500_000, UTC))),
        ("started < 2026-11-26 10:00Z", Comparison(STARTED, "<", datetime(2026, 11, 26, 10, tzinfo=UTC))),
        ("param.day = 2026-11-26", Comparison(Field("param", "day"), "=", "2026-11-26")),
        ("number >= 7", Comparison(Field(None, "number"), ">=", 7.0)),
        ('not status = "a"', Not(Comparison(STATUS, "=", "a"))),
        ("resnet", Comparison(TEXT, "~", "resnet")),
        ("resnet50-v2  Adam 'batch norm'", Comparison(TEXT, "~", "resnet50-v2 Adam batch norm")),
        ("data/résumé.csv", Comparison(TEXT, "~", "data/résumé.csv")),
        ("2026", Comparison(TEXT, "~", "2026")),
        ("not android", Not(Comparison(TEXT, "~", "android"))),
        ("(resnet) and param.lr = 1", And((Comparison(TEXT, "~", "resnet"), Comparison(LR, "=", 1.0)))),
        ("accuracy > 0.9", Comparison(Bare("", "accuracy", 0), ">", 0.9)),
        ("x and lr in (1)", And((Comparison(TEXT, "~", "x"), Among(Bare("", "lr", 6), (1.0,))))),
        ("param.lr not in (1)", And((Present(LR), Not(Among(LR, (1.0,)))))),
    ],
)
def test_what_conditions_mean(text, tree):
    assert parse_filter(text) == tree


def test_and_binds_more_than_or_and_not_most_of_all():
    one, two, three = (Comparison(LR, "=", float(number)) for number in (1, 2, 3))
    assert parse_filter("param.lr=1 or param.lr=2 and not param.lr=3") == Or((one, And((two, Not(three)))))
    assert parse_filter("(param.lr=1 OR param.lr=2) AND (param.lr=3)") == And((Or((one, two)), three))
    assert parse_filter("(" * 900 + "param.lr=1" + ")" * 900) == one


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("", 0, "a field, such as param.NAME, summary.NAME or started, "),
        ("param.lr", 8, "found the end"),
        ("param.lr = ", 11, 'expected a value, such as 0.9 or "text in quotes", found the end'),
        ("param.lr = adam", 11, "text in quotes\", found 'adam'"),
        ("param.lr = 1 param.lr = 2", 13, 'expected the end, "and" or "or", found'),
        ("(param.lr = 1", 13, 'expected ")"'),
        ("param.lr = 1)", 12, "found ')'"),
        ('param.lr = "adam', 11, "found '\"adam'"),
        ("resnet accuracy > 0.9", 16, 'expected the end, "and", "or" or words to search for, found'),
        ("--", 0, "'--' has no word to look for"),
        ("param.lr == 1", 10, "found '= 1'"),
        ("status = 1", 9, "status is compared with a text in quotes, not with '1'"),
        ('number = "7"', 9, "number is compared with a number"),
        ("number ~ 7", 7, "number holds no text"),
        ("param.lr ~ 7", 11, "~ looks for a text in quotes"),
        ("started > 7", 10, "started is compared with a time such as 2026-11-26"),
        ("started > 2026-13-01", 10, "started is compared with a time"),
        ("started > -9000000000w", 10, "started is compared with a time"),
        ("param.lr > -7d", 11, "only started, ended, ingested are compared with times"),
        ("param.lr = 1e999", 11, "larger than any number can be"),
        ("param.lr = '\0'", 12, "cannot hold the character"),
        ("param.lr = '\ud800'", 12, "cannot hold the character"),
        ("param.lr = 1" + " " * MAX_CHARS, MAX_CHARS, "at most 4,000 characters"),
        (" and ".join(["param.lr=1"] * (MAX_CONDITIONS + 1)), 0, "at most 50 conditions"),
        ("not " * (MAX_DEPTH + 1) + "param.lr = 1", 0, "nests at most 20 deep"),
        ("param.lr in (" + ",".join(["1"] * (MAX_VALUES + 1)) + ")", 13 + 2 * MAX_VALUES, "at most 200 values"),
    ],
)
def test_what_cannot_be_understood_is_said_where_it_is(text, position, said):
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    assert said in str(caught.value)
    assert caught.value.position == position


KINDS = {"accuracy": {"summary"}, "lr": {"param"}, "stage": {"param", "label"}}


def test_a_name_that_one_kind_of_value_has_needs_no_kind():
    tree = parse_filter("(accuracy > 0.9 or not lr exists) and resnet and lr not in (1)")
    assert [field.name for field in bare_fields(tree)] == ["accuracy", "lr", "lr", "lr"]
    assert resolved(tree, KINDS) == parse_filter(
        "(summary.accuracy > 0.9 or not param.lr exists) and resnet and param.lr not in (1)"
    )


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("f1 > 0.9", 0, "there is no 'f1': use param.NAME, summary.NAME, label.NAME, or one of id, number"),
        ("param.lr = 1 and metric.loss < 1", 17, "there is no 'metric.loss': use param.NAME"),
        ("not stage = 'dev'", 4, "'stage' can be more than one thing here: say label.stage or param.stage"),
    ],
)
def test_a_name_that_says_too_little_is_pointed_at(text, position, said):
    with pytest.raises(FilterError) as caught:
        resolved(parse_filter(text), KINDS)
    assert said in str(caught.value)
    assert caught.value.position == position


WORDS = st.sampled_from(
    [
        *(
            "param.a",
            'label."x y"',
            "status",
            "started",
            "=",
            "<",
            "~",
            "in",
            "not",
            "and",
            "or",
            "exists",
            "(",
            ")",
            ",",
        ),
        *("1", "-7d", "'x'", '"', "2026-11-26", "true", "\\", "\n", "é", "."),
    ]
)


@given(st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=20).map(" ".join), st.lists(WORDS).map("".join)))
def test_any_text_is_a_filter_or_a_mistake_in_it(text):
    position = 0
    try:
        parse_filter(text)
    except FilterError as error:
        position = error.position
    assert 0 <= position <= len(text)


def test_the_grammar_and_all_attributes_are_documented():
    text = DOCUMENTED.read_text()
    assert GRAMMAR.read_text().partition("\n\n")[2] in text
    for name, (_, meaning) in ATTRIBUTES.items():
        assert f"| `{name}` | {meaning}" in text
