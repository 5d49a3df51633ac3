"""classykit.python_code: values as source, whoever they come from."""

import ast
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classykit.errors import ConfigError
from classykit.python_code import keywords, literal, printable, refuse_what_is_no_name

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def unseen(text):
    return [c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}]


@given(PLAIN)
def test_a_literal_means_its_value(value):
    source = literal(value)
    assert ast.literal_eval(source) == value and not unseen(source)
    source.encode()


@given(st.text(alphabet=st.characters(categories=["Cs", "Cc", "Cf", "Zl", "Zp", "Co", "Lu"])))
def test_what_cannot_be_seen_is_escaped(text):
    assert not unseen(printable(text)) and not unseen(literal(text))
    assert ast.literal_eval(literal(text)) == text


@pytest.mark.parametrize("text", ["Net\nimport os", "\u202e", "\u2066x", "\ud800", "a\x1bb", "a\u2028b", "\x85"])
def test_one_line_that_shows_what_it_is(text):
    for shown in (printable(text), literal(text)):
        assert len(shown.splitlines()) == 1 and shown.isascii() and shown.isprintable()


def test_ordinary_text_stays_as_it_is():
    assert printable("Größe 3×3 – ✓") == "Größe 3×3 – ✓" and literal("größe") == '"größe"'


@pytest.mark.parametrize("key", ["a b", "class", "1a", "", "a=__import__('os').system('x'),b", 5, "a\u202e", "a-b"])
def test_what_is_no_name_is_refused(key):
    with pytest.raises(ConfigError, match="A key is a name such as 'num_classes'") as said:
        refuse_what_is_no_name({key: 1})
    assert str(said.value).isascii()
    with pytest.raises(ConfigError):
        keywords({key: 1})


def test_keywords():
    assert keywords({"depth": [1, 2], "größe": "x"}) == ["depth=[1, 2]", 'größe="x"'] and keywords({}) == []
