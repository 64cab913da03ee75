"""Expressions that mean harm, or look like it, end in the error that names what they did.

They run in a process of their own, one after the other: one that stopped the interpreter would stop
pytest and its timeouts as well. What does not end there is missing from its output.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

OK, ERROR, TIME, MEMORY = "value", "ExpressionError", "ExpressionTimeout", "ExpressionMemoryError"

#: What a page of JavaScript in node's own sandbox can reach, and here can't.
ESCAPES = [
    (ERROR, "{ return constructor.constructor('return process')().version; }"),
    (ERROR, "{ return this.constructor.constructor('return process')(); }"),
    (ERROR, "{ return (function () {}).constructor('return process')(); }"),
    (ERROR, "(Function('return process')())"),
    (ERROR, "(globalThis.process.version)"),
    (ERROR, "(require('fs'))"),
    (ERROR, "(globalThis.require('fs'))"),
    (ERROR, "(console.log(1))"),
    (ERROR, "(std.open('/etc/passwd'))"),
    (ERROR, "(os.exec(['id']))"),
    (ERROR, "(new Worker('x'))"),
    (ERROR, "{ import fs from 'fs'; return 1; }"),
    (ERROR, "(Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0))"),
    (OK, "{ return import('/etc/passwd'); }"),  # a promise that nobody waits for: {}
    (OK, "{ return import('os').then(function (m) { return m; }); }"),
]

ENDLESS = [
    (TIME, "{ for (;;); }"),
    (TIME, "{ try { for (;;); } catch (e) { for (;;); } finally { for (;;); } }"),
    (TIME, "(/^(a+)+$/.test('a'.repeat(40) + 'b'))"),
    (TIME, "(Array.prototype.indexOf.call({length: Math.pow(2, 53) - 1}, 1))"),
    (TIME, "{ async function f() { for (;;); } f(); return 1; }"),
    (TIME, "{ return {toJSON: function () { for (;;); }}; }"),
    (TIME, "{ return {get x() { for (;;); }}; }"),
    (TIME, "{ return new Proxy({}, {ownKeys: function () { for (;;); }}); }"),
    # What would run while the binding reads the exception, with the interpreter lock held.
    (ERROR, "{ throw {toString: function () { for (;;); }}; }"),
    (ERROR, "{ Error.prototype.toString = function () { for (;;); }; throw new Error('x'); }"),
    (ERROR, "{ var e = new Error('x'); Object.defineProperty(e, 'stack', {get() { for (;;); }}); throw e; }"),
    (TIME, "{ throw {get message() { for (;;); }}; }"),
    (TIME, "{ throw new Proxy({}, {get: function () { for (;;); }}); }"),
    (TIME, "{ Object.prototype[Symbol.toPrimitive] = function () { for (;;); }; for (;;); }"),
    (TIME, "{ Error.prepareStackTrace = function () { return {toString() { for (;;); }}; }; for (;;); }"),
    (
        TIME,
        "{ Error.prepareStackTrace = function (e) {"
        " Object.defineProperty(e, Symbol.toPrimitive, {value() { for (;;); }}); }; for (;;); }",
    ),
    (TIME, "{ Object.defineProperty(Error.prototype, 'stack', {get() { for (;;); }}); for (;;); }"),
    (
        TIME,
        "{ Object.setPrototypeOf(InternalError.prototype, new Proxy({}, {get() { for (;;); }})); for (;;); }",
    ),
]

#: One operation each, in which the engine never looks at its clock; these are left behind.
UNSTOPPABLE = [
    (TIME, "(new Array(4294967295).join(''))"),
    (TIME, "('a'.repeat(33554432).indexOf('a'.repeat(16777216) + 'b'))"),
]

BOMBS = [
    (MEMORY, "{ var a = []; for (;;) a.push({}); }"),
    (MEMORY, "{ var s = 'x'; for (;;) s = s + s; }"),
    (MEMORY, "{ var a = []; for (;;) a.push('x'.repeat(1000000) + a.length); }"),
    (MEMORY, "(new Uint8Array(1e9).length)"),
    (MEMORY, "{ var a = []; for (;;) a.push(new Float64Array(100000)); }"),
    (MEMORY, "(new SharedArrayBuffer(1e9))"),
    (MEMORY, "(new Array(4294967295).fill(0))"),
    (MEMORY, "{ var a = []; try { for (;;) a.push(new Float64Array(100000)); } catch (e) { throw e; } }"),
    (MEMORY, "{ return 'x'.repeat(40000000); }"),
    (MEMORY, "{ var a = 'x'.repeat(10000); for (var i = 0; i < 12; i++) a = [a, a]; return a; }"),
    (ERROR, "{ throw 'x'.repeat(30000000); }"),
]

DEEP = [
    (ERROR, "{ function f() { return f() + 1; } return f(); }"),
    (ERROR, "{ var o = {}; o.toJSON = function () { return JSON.stringify(o); }; return o; }"),
    (ERROR, "{ var a = []; for (var i = 0; i < 100000; i++) a = [a]; return a; }"),
    (ERROR, "{ var a = []; for (var i = 0; i < 5000; i++) a = [a]; return a; }"),
    (ERROR, "{ return eval('('.repeat(1000000)); }"),
    (ERROR, "{ return JSON.parse('['.repeat(1000000)); }"),
    (ERROR, "{ var p = []; for (var i = 0; i < 100000; i++) p = new Proxy(p, {}); return p; }"),
    (ERROR, "(" + "(" * 100_000 + "1" + ")" * 100_000 + ")"),
]

#: The user's own language tampered with: the result stays a value, or the error a clear one.
TAMPERED = [
    (OK, "{ JSON.stringify = function () { return 'lies'; }; return {a: 1}; }"),
    (OK, "{ JSON = null; globalThis.eval = null; return {a: 1}; }"),
    (OK, "{ delete globalThis.JSON; String = null; Object.defineProperty = null; return {a: 1}; }"),
    (
        OK,
        "{ Array.prototype.join = String.prototype.slice = Function.prototype.call = null; return {a: 1}; }",
    ),
    (OK, "{ Object.prototype.get = function () { throw 1; }; return {a: 1}; }"),
    (OK, "{ Object.prototype.toJSON = function () { return {mine: true}; }; return {a: 1}; }"),
    (OK, "{ Object.prototype.toJSON = 5; return {a: 1}; }"),
    (OK, '{ return \'!["error","not mine",""]\'; }'),
    (OK, "{ return new Proxy({a: 1}, {}); }"),
    (OK, "{ return new Proxy([1], {get: function (t, k) { return k === 'length' ? 3 : 7; }}); }"),
    (ERROR, "{ Object.prototype.toJSON = function () {}; return {a: 1}; }"),
    (ERROR, "{ Object.prototype.toJSON = function () { throw new Error('no'); }; return {a: 1}; }"),
    (ERROR, "{ return {get a() { throw new Error('no'); }}; }"),
    (ERROR, "{ var p = Proxy.revocable({}, {}); p.revoke(); return p.proxy; }"),
    (ERROR, "{ var p = Proxy.revocable({}, {}); p.revoke(); throw p.proxy; }"),
    (ERROR, "{ JSON.stringify = String = null; Array.prototype.toJSON = function () {}; throw {a: 1}; }"),
    (ERROR, "{ Array.prototype.join = String.prototype.slice = null; throw new Error('seen'); }"),
    (ERROR, "{ Object.prototype.name = Object.prototype.message = {toString: null}; throw {}; }"),
    (ERROR, "{ Object.defineProperty(TypeError.prototype, 'name', {get() { throw 1; }}); null.x; }"),
]

ALL = [*ESCAPES, *DEEP, *TAMPERED, *BOMBS, *ENDLESS, *UNSTOPPABLE]

CHILD = """
import json, os, resource, sys
from celeriac.expression.engine import QuickJSEngine
engine = QuickJSEngine()
for expected, expression in json.load(sys.stdin):
    try:
        found = ["value", engine.eval(expression, timeout=0.1 if expected == "ExpressionTimeout" else 30)]
    except Exception as exc:
        found = [type(exc).__name__, str(exc)]
    print(json.dumps([expression, *found]), flush=True)
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps(["", used, engine.runaways, engine.eval("(1 + 1)")]), flush=True)
os._exit(0)
"""


@pytest.fixture(scope="module")
def outcomes() -> dict[str, list[Any]]:
    try:
        done = subprocess.run(
            [sys.executable, "-c", CHILD], input=json.dumps(ALL), capture_output=True, text=True, timeout=120
        )
        output, problem = done.stdout, done.stderr
    except subprocess.TimeoutExpired as exc:
        output, problem = (exc.stdout or b"").decode(), "it hangs"
    found = {line[0]: line[1:] for line in map(json.loads, output.splitlines())}
    return {"problem": [problem], **found}


@pytest.mark.parametrize(("kind", "expression"), [pytest.param(*case, id=case[1][:60]) for case in ALL])
def test_it_ends_in_the_named_error(kind: str, expression: str, outcomes: dict[str, list[Any]]) -> None:
    assert expression in outcomes, f"it or one before it did not end: {outcomes['problem'][0]}"
    found, detail = outcomes[expression]
    assert found == kind, detail
    if kind != OK:
        assert len(detail) < 1000


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (TAMPERED[0][1], {"a": 1}),
        (TAMPERED[5][1], {"mine": True}),
        (TAMPERED[7][1], '!["error","not mine",""]'),
        (TAMPERED[9][1], [7, 7, 7]),
        (ESCAPES[-1][1], {}),
    ],
)
def test_the_value_is_sane(expression: str, expected: Any, outcomes: dict[str, list[Any]]) -> None:
    assert outcomes[expression] == [OK, expected]


def test_what_is_thrown_is_described_whatever_was_tampered_with(outcomes: dict[str, list[Any]]) -> None:
    assert '{"a":1}' in outcomes[TAMPERED[15][1]][1]
    assert "Error: seen" in outcomes[TAMPERED[16][1]][1]


def test_the_process_lives_on_and_stays_small(outcomes: dict[str, list[Any]]) -> None:
    kilobytes, runaways, sum_ = outcomes[""]
    assert sum_ == 2
    # Two are left on purpose, each with up to 128 MiB; a busy machine may leave stoppable ones too.
    assert runaways >= len(UNSTOPPABLE)
    assert kilobytes < 1_000_000
