"""What cwl_utils' engine makes of ordinary expressions on node, ours makes too."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from cwl_utils.sandboxjs import NodeJSEngine

from celeriac.expression.engine import QuickJSEngine

pytestmark = pytest.mark.skipif(
    not (shutil.which("node") or shutil.which("nodejs")), reason="there is no node to compare with"
)

LIBRARY = """
function pad(x, n) { x = String(x); while (x.length < n) x = "0" + x; return x; }
var Shape = (function () { function Shape(n) { this.n = n; } Shape.prototype.area = function () {
  return this.n * this.n; }; return Shape; })();
var inputs = {
    "n": 3,
    "f": 1.5,
    "name": "m\\u00fcsli \\ud83e\\udd63",
    "files": [
        {"class": "File", "basename": "b.txt", "size": 2},
        {"class": "File", "basename": "a.txt", "size": 10}
    ]
};
var self = null;
var runtime = {"cores": 2};
"""

EXPRESSIONS = """
(1)
(1.0)
(1e3)
(1e20)
(1e21)
(1.5e300)
(5e-324)
(0.1 + 0.2)
(-0)
(NaN)
(1/0)
(9007199254740993)
(0x10)
('a\\nb\\u0000c"\\'')
('\\ud800')
('\\u2028')
(`t ${inputs.n}`)
(null)
(undefined)
(function () {})
(Symbol('x'))
(10n)
({a: undefined, b: function () {}, c: NaN})
([undefined, , 3])
(new Date(0))
(new Map([[1, 2]]))
(/x/g)
(new Error('x'))
(new Uint8Array(3))
(new String('x'))
(Promise.resolve(1))
((async () => 1)())
(this)
(arguments.length)
(typeof require + typeof process)
(pad(7, 3))
(new Shape(4).area())
(new Shape(4))
(inputs.name.length)
(inputs.name.toUpperCase())
(inputs.files.map(function (f) { return f.basename; }).sort())
(inputs.files.reduce((sum, f) => sum + f.size, 0))
(inputs.files.sort((a, b) => b.size - a.size)[0])
(Object.keys(inputs))
(Object.entries({b: 1, a: 2, 1: 3, 0: 4}))
(inputs.missing)
(inputs.missing || 'default')
(inputs.missing.deeper)
(inputs?.missing?.deeper ?? 1)
(runtime.cores * 1000 / 3)
(Math.round(2.5) + Math.ceil(-0.5))
((12.3456).toFixed(2))
((255).toString(16))
(parseInt('08') + parseFloat('1.5x'))
('a,b;c'.split(/[,;]/))
('2024-05-06'.replace(/(\\d+)-(\\d+)-(\\d+)/, '$3.$2.$1'))
('x'.padStart(3, 'ab'))
(/(?<y>\\d{4})/.exec('in 2024').groups.y)
(encodeURIComponent('ä b'))
([3, 20, 100].sort())
([1, [2, [3]]].flat(Infinity))
([1, 2, 3].includes(2))
(JSON.parse('{"a": [1, 2.50]}'))
(JSON.stringify({b: [1, null]}, null, 2))
(globalThis.inputs.n)
(new Function('return inputs.n')())
{return 1;}
{return}
{}
{ var x = 1; { let x = 2; } return x; }
{ for (var i = 0, out = []; i < 3; i++) out.push(i); return out; }
{ function f(n) { return n < 2 ? 1 : n * f(n - 1); } return f(20); }
{ function f(n) { return n ? 1 + f(n - 1) : 0; } return f(2000); }
{ const {n, ...rest} = inputs; return [n, Object.keys(rest)]; }
{ class A { get x() { return 1; } } return new A().x; }
{ inputs.n = 4; return inputs; }
{ undeclared = 1; return 1; }
{ return 010; }
{ with (inputs) { return n; } }
{ throw 1; }
{ return (function () { return this; })(); }
{ try { null.x } catch (e) { return e instanceof TypeError; } }
{ return Object.freeze([1]).push(2); }
{ return eval('1 + inputs.n'); }
(1 // a comment
)
(1
{ return 1; /* { */ })(), (function () { return 2; /* } */ }
""".strip()


def cases() -> list[str]:
    """Split at the lines that begin an expression."""
    found: list[str] = []
    for line in EXPRESSIONS.split("\n"):
        if line == ")":
            found[-1] += "\n)"
        else:
            found.append(line.replace("\\\\", "\\"))
    return found


@pytest.fixture(scope="module")
def node() -> Iterator[NodeJSEngine]:
    engine = NodeJSEngine()
    yield engine
    for process in engine.processes_to_kill:
        process.kill()
        process.communicate()
    engine.processes_to_kill.clear()


def outcome(engine: Any, expression: str) -> tuple[str, Any]:
    try:
        found = engine.eval(expression, LIBRARY, timeout=20)
    except Exception:
        return "error", None
    return type(found).__name__, found


@pytest.mark.parametrize("expression", cases())
def test_the_same_as_node(expression: str, node: NodeJSEngine) -> None:
    assert outcome(QuickJSEngine(), expression) == outcome(node, expression)
