"""Expressions as their authors know them: values, interpolation, errors, and the way through cwl_utils."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from cwl_utils import sandboxjs
from cwl_utils.errors import WorkflowException
from cwl_utils.expression import do_eval

from celeriac.errors import ExpressionError, ExpressionMemoryError, ExpressionTimeout
from celeriac.expression.engine import QuickJSEngine
from celeriac.expression.evaluate import evaluate, explain, install

JAVASCRIPT: list[dict[str, Any]] = [
    {
        "class": "InlineJavascriptRequirement",
        "expressionLib": ["function twice(x) {\n  return x.n.valueOf() * 2;\n}", "var base = 40;"],
    }
]
INPUTS: dict[str, Any] = {
    "n": 3,
    "name": "müsli 🥣",
    "none": None,
    "list": [1, 2, 3],
    "empty": [],
    "file": {"class": "File", "path": "/data/a b.txt", "basename": "a b.txt", "size": 12},
    "odd key": {"it's": 1, 'a"b': 2},
}
RUNTIME = {"cores": 2, "ram": 1024}


@pytest.fixture(scope="module")
def engine() -> QuickJSEngine:
    return QuickJSEngine()


@pytest.fixture
def untouched() -> Iterator[None]:
    """Take back what ``install`` changed in cwl_utils, and put it back at the end."""
    engine, filters = sandboxjs.get_js_engine(), list(logging.getLogger("cwl_utils").filters)
    logging.getLogger("cwl_utils").filters.clear()
    yield
    sandboxjs.set_js_engine(engine)
    logging.getLogger("cwl_utils").filters[:] = filters


def value(expression: Any, engine: QuickJSEngine, *, javascript: bool = True, **more: Any) -> Any:
    return evaluate(
        expression,
        inputs=INPUTS,
        requirements=JAVASCRIPT if javascript else [],
        runtime=RUNTIME,
        engine=engine,
        **more,
    )


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("plain text", "plain text"),
        (17, 17),
        (None, None),
        ({"a": "$(inputs.n)"}, {"a": "$(inputs.n)"}),
        ("$(inputs.n)", 3),
        ("$(inputs.file.path)", "/data/a b.txt"),
        ("$(inputs['odd key']['it\\'s'])", 1),
        ('$(inputs["odd key"]["a\\"b"])', 2),
        ("$(inputs.list[1])", 2),
        ("$(inputs.list.length)", 3),
        ("$(runtime.cores)", 2),
        ("$(runtime.outdir)", "/out"),
        ("$(self.here)", "yes"),
        ("$(null)", None),
        ("$(inputs.n)-$(inputs.name).txt", "3-müsli 🥣.txt"),
        ("all: $(inputs.list) $(inputs.none)", "all: [1, 2, 3] null"),
        ("\\$(inputs.n)", "$(inputs.n)"),
    ],
)
def test_without_javascript(expression: Any, expected: Any, engine: QuickJSEngine) -> None:
    found = value(expression, engine, javascript=False, outdir="/out", context={"here": "yes"})
    assert found == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("$(inputs.n + 1)", 4),
        ("$(inputs.n * 1.5)", 4.5),
        ("$(1e3)", 1000),
        ("$(1.0)", 1),
        ("$(-0)", 0),
        ("$(1e21)", 1e21),
        ("$(1e20)", 10**20),
        ("$(Math.pow(2, 53))", 2**53),
        ("$(1/0)", None),
        ("$(0/0)", None),
        ("$(true && inputs.none)", None),
        ("$('a\\nb' + \"c\\td\")", "a\nb" + "c\td"),
        ("$(inputs.name.length)", 8),
        ("$('\\u0000x\\ud83e\\udd63\\ud800')", "\0x🥣\ud800"),
        ("$([1, [2, {a: null, b: undefined}], undefined])", [1, [2, {"a": None}], None]),
        ("$({a: {b: [true, false]}})", {"a": {"b": [True, False]}}),
        ("${return inputs.list.map(function (x) {return x * 2;});}", [2, 4, 6]),
        ("${\n  var s = '';\n  for (var i in inputs.list) { s += i; }\n  return s;\n}", "012"),
        ("${ return '}' + \"{\"; }", "}{"),
        ("$(twice(inputs) + base)", 46),
        ("$((function () { return this === undefined; })())", True),
        ("$(globalThis.inputs.n + new Function('return runtime.cores')())", 5),
        ("$(new Date(0))", "1970-01-01T00:00:00.000Z"),
        ("n=$(inputs.n + 1), $(inputs.name.split(' ')[0])", "n=4, müsli"),
        ("$(self)", {"here": "yes"}),
    ],
)
def test_javascript(expression: str, expected: Any, engine: QuickJSEngine) -> None:
    found = value(expression, engine, context={"here": "yes"})
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(("version", "expected"), [("v1.0", "\\3"), ("v1.2", "\\3")])
def test_backslashes_follow_the_version(version: str, expected: str, engine: QuickJSEngine) -> None:
    assert value("\\\\$(inputs.n)", engine, cwl_version=version) == expected
    assert value("\\x", engine, cwl_version=version) == "\\x"  # holds no expression
    escaped = value("a\\b $(inputs.n)", engine, cwl_version=version)
    assert escaped == ("ab 3" if version == "v1.0" else "a\\b 3")


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("$(nope)", ["$(nope)", "line 1:", "ReferenceError: nope is not defined"]),
        ("${\n\n  return inputs.x.y;\n}", ["line 3:", "TypeError"]),
        ("$(twice({}))", ["line 2 of expressionLib", "TypeError"]),
        ("$(1 +)", ["line 1:", "SyntaxError"]),
        ("$(010)", ["SyntaxError"]),
        ("${undeclared = 1; return 1;}", ["ReferenceError"]),
        ("${throw {code: 7};}", ['{"code":7}']),
        ("${throw 'my own words';}", ["my own words"]),
        ("${throw Symbol('odd');}", ["Symbol(odd)"]),
        ("$(inputs.nope)", ["returned undefined", "field that is there"]),
        ("${ inputs.n; }", ["returned undefined", "'return'"]),
        ("$(inputs.empty[0])", ["returned undefined"]),
        ("$(function () {})", ["returned a function"]),
        ("$(Symbol())", ["returned a symbol"]),
        ("$(10n)", ["BigInt"]),
        ("${var a = []; a.push(a); return a;}", ["circular"]),
        ("${var o = {}; o.o = {o: o}; return o;}", ["circular"]),
        ("${throw new Error('" + "x" * 2000 + "');}", ["Error: xxx"]),
        ("$(inputs.n", ["$(inputs.n", "has no end"]),
    ],
)
def test_an_error_says_what_and_where(expression: str, words: list[str], engine: QuickJSEngine) -> None:
    with pytest.raises(ExpressionError) as caught:
        value(expression, engine)
    assert type(caught.value) is ExpressionError
    for word in words:
        assert word in str(caught.value)
    assert len(str(caught.value)) < 800
    assert "Traceback" not in str(caught.value)


def test_an_error_has_fields(engine: QuickJSEngine) -> None:
    with pytest.raises(ExpressionError) as caught:
        value("${\n  return nope;\n}", engine)
    assert caught.value.fields == {
        "expression": "${ return nope; }",
        "javascript": "ReferenceError: nope is not defined",
        "line": 2,
    }


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("$(inputs.nope)", ["inputs does not contain key 'nope'"]),
        ("$(inputs.file.nope)", ["inputs.file does not contain key 'nope'"]),
        ("$(inputs.list[3])", ["inputs.list list index 3 out of range"]),
        ("$(inputs.empty[0])", ["inputs.empty list index 0 out of range"]),
        ("$(inputs.n.x)", ["inputs.n is a int"]),
        ("$(inputs.n + 1)", ["InlineJavascriptRequirement"]),
        ("${return 1;}", ["InlineJavascriptRequirement"]),
        ("$(other.thing)", ["other is unexpected"]),
    ],
)
def test_a_wrong_reference(expression: str, words: list[str], engine: QuickJSEngine) -> None:
    with pytest.raises(ExpressionError) as caught:
        value(expression, engine, javascript=False)
    for word in [expression, *words]:
        assert word in str(caught.value)


def test_the_nearest_requirement_counts(engine: QuickJSEngine) -> None:
    near = [*JAVASCRIPT, {"class": "InlineJavascriptRequirement", "expressionLib": ["var base = 1;"]}]
    assert evaluate("$(base)", inputs={}, requirements=near, engine=engine) == 1


def test_surrogates_of_undecodable_file_names_survive(engine: QuickJSEngine) -> None:
    name = "caf\udce9.txt"
    found = evaluate("$(inputs.x + '')", inputs={"x": name}, requirements=JAVASCRIPT, engine=engine)
    assert found == name
    assert evaluate(f"$('{name}' + '')", inputs={}, requirements=JAVASCRIPT, engine=engine) == name


def test_nothing_stays_between_evaluations(engine: QuickJSEngine) -> None:
    value("${globalThis.left = 1; Array.prototype.map = null; return 1;}", engine)
    assert value("$(typeof left)", engine) == "undefined"
    assert value("${return [1].map(function (x) {return x + 1;});}", engine) == [2]


def test_no_process_is_started(monkeypatch: pytest.MonkeyPatch, engine: QuickJSEngine) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError(f"started {args}")

    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert value("$(twice(inputs))", engine) == 6


def test_an_evaluation_after_a_fork(engine: QuickJSEngine) -> None:
    # In a process of its own, since a fork copies whatever the tests before have left.
    script = """
import os
from celeriac.expression.engine import QuickJSEngine
engine = QuickJSEngine()
assert engine.eval("(1 + 1)") == 2
child = os.fork()
if not child:
    os._exit(0 if engine.eval("(2 + 2)", timeout=20) == 4 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_the_console_is_there_only_when_asked_for(
    engine: QuickJSEngine, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "celeriac.expression"):
        assert (
            engine.eval("{console.log('seen', {a: 1}); return typeof console;}", js_console=True) == "object"
        )
    assert 'seen {"a":1}' in caplog.text
    with pytest.raises(ExpressionError, match="console"):
        engine.eval("(console.log(1))")


def test_limits_are_the_engine_s() -> None:
    with pytest.raises(ExpressionMemoryError, match="1 MiB"):
        QuickJSEngine(memory_limit=2**20).eval("{var a = []; for (;;) a.push({});}")
    with pytest.raises(ExpressionMemoryError, match="1 MiB"):
        QuickJSEngine(memory_limit=2**20).eval("(1)", f"var x = '{'x' * 2**20}';")
    with pytest.raises(ExpressionMemoryError, match="returned 102 characters"):
        QuickJSEngine(result_limit=100).eval("('x'.repeat(100))")


# --- the way through cwl_utils -------------------------------------------------------------------


def through_cwl_utils(expression: str) -> Any:
    return do_eval(expression, dict(INPUTS), JAVASCRIPT, None, None, {}, timeout=0.5)


@pytest.mark.usefixtures("untouched")
def test_install_makes_cwl_utils_use_the_engine(caplog: pytest.LogCaptureFixture) -> None:
    install()
    mine = sandboxjs.get_js_engine()
    assert isinstance(mine, QuickJSEngine)
    install()
    assert sandboxjs.get_js_engine() is mine
    assert len(logging.getLogger("cwl_utils").filters) == 1
    assert through_cwl_utils("$(twice(inputs) + base)") == 46
    own = QuickJSEngine()
    install(own)
    assert sandboxjs.get_js_engine() is own


@pytest.mark.usefixtures("untouched")
def test_no_traceback_is_printed(caplog: pytest.LogCaptureFixture) -> None:
    sandboxjs.set_js_engine(QuickJSEngine())
    with pytest.raises(WorkflowException):
        through_cwl_utils("$(nope)")
    assert "Traceback" in caplog.text  # so there is something to turn off
    caplog.clear()
    install()
    with pytest.raises(WorkflowException):
        through_cwl_utils("$(nope)")
    assert caplog.text == ""


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("expression", "kind", "words"),
    [
        ("$(nope)", ExpressionError, "nope is not defined"),
        ("$(twice({}))", ExpressionError, "line 2 of expressionLib"),
        ("${\n\nreturn nope;}", ExpressionError, "line 3"),
        ("${for (;;);}", ExpressionTimeout, "after 0.5 seconds"),
        ("$(new Uint8Array(1e9).length)", ExpressionMemoryError, "128 MiB"),
        ("$(inputs.n", ExpressionError, "has no end"),
    ],
)
def test_explain_finds_our_error(expression: str, kind: type[ExpressionError], words: str) -> None:
    install()
    with pytest.raises(WorkflowException) as caught:
        try:
            through_cwl_utils(expression)
        except WorkflowException as exc:
            raise WorkflowException(f"Error in step: {exc}")  # noqa: B904 -- as cwltool does in places
    found = explain(caught.value)
    assert type(found) is kind
    assert words in str(found)


@pytest.mark.usefixtures("untouched")
def test_explain_a_wrong_reference() -> None:
    install()
    with pytest.raises(WorkflowException) as caught:
        do_eval("$(inputs.nope)", {}, [], None, None, {})
    found = explain(caught.value)
    assert type(found) is ExpressionError
    assert "'nope'" in str(found)


def test_explain_leaves_the_rest_alone() -> None:
    assert explain(WorkflowException("Missing required input")) is None
    assert explain(KeyError("x")) is None
    circle = ValueError("a")
    circle.__cause__ = ValueError("b")
    circle.__cause__.__context__ = circle
    assert explain(circle) is None
