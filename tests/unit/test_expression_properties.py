"""Rules that hold for every value, and for evaluations at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from celeriac.expression.engine import QuickJSEngine
from celeriac.expression.evaluate import evaluate

ENGINE = QuickJSEngine()
JAVASCRIPT = [{"class": "InlineJavascriptRequirement"}]

# In an object literal (which cwl_utils makes of the inputs too) __proto__ is no key. JavaScript's
# numbers are doubles, so larger whole numbers can't come back.
SAFE = 2**53 - 1
TEXT = st.text(alphabet=st.characters(exclude_categories=[]), max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-SAFE, SAFE)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(TEXT.filter(lambda key: key != "__proto__"), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(value=VALUES)
def test_a_value_comes_back_as_it_went_in(value: Any) -> None:
    for expression in ("$(inputs.x)", "${return inputs.x;}"):
        found = evaluate(expression, inputs={"x": value}, requirements=JAVASCRIPT, engine=ENGINE)
        assert doubles(found) == doubles(value)
    assert evaluate("$(self)", inputs={}, context=value, requirements=[], engine=ENGINE) == value


def doubles(value: Any) -> Any:
    """Read numbers as JavaScript does: JSON has 30192727826695870 for the double 30192727826695872."""
    if isinstance(value, list):
        return [doubles(item) for item in value]
    if isinstance(value, dict):
        return {key: doubles(item) for key, item in value.items()}
    return float(value) if type(value) is int else value


@given(text=TEXT)
def test_text_in_a_string_literal_is_that_text(text: str) -> None:
    quoted = "".join(f"\\u{unit:04x}" for unit in _utf16(text))
    assert ENGINE.eval(f'("{quoted}")') == text


def _utf16(text: str) -> list[int]:
    data = text.encode("utf-16-le", errors="surrogatepass")
    return [int.from_bytes(data[at : at + 2], "little") for at in range(0, len(data), 2)]


def test_threads_do_not_meet() -> None:
    def work(number: int) -> bool:
        expected = [number, "x" * number, {"n": number * 2}]
        expression = (
            "${var s = ''; while (s.length < inputs.n) s += 'x'; return [inputs.n, s, {n: inputs.n * 2}];}"
        )
        found = evaluate(expression, inputs={"n": number}, requirements=JAVASCRIPT, engine=ENGINE)
        return bool(found == expected)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(400)))
