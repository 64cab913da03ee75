"""The JavaScript that is there before the user's: it runs the user's and turns the result into text.

It takes what it needs from the language (``JSON.stringify``, ``String``, ...) while nobody can have
changed it, and answers with a string only: JSON, or ``!`` and ``[kind, message, stack]`` as JSON.

That only strings leave is more than tidiness. Where an exception reaches the binding, the binding calls
the exception's ``toString``, outside of the time limit and with the interpreter lock held: a user's
endless ``toString`` would stop the whole process. So every exception is caught and described in here,
within the limits. The one kind that can't be caught is the engine's own ``InternalError`` for used-up
time (or memory, where none is left for the catching); what the binding reads of those is locked.
"""


def _one_line(source: str) -> str:
    # The user's script begins with a line of ours too: so a place in line 1 is never the user's.
    return " ".join(line.strip() for line in source.splitlines())


#: ``(limit, report) => (source) => answer``; ``limit`` is in characters, ``report`` is REPORT below.
DRIVER = _one_line("""
    (function (limit, report) {
        "use strict";
        var evaluate = eval, stringify = JSON.stringify, text = String, define = Object.defineProperty;
        var OwnError = InternalError, TooDeep = RangeError, cut = String.prototype.slice;
        var call = Function.prototype.call, bind = call.bind.bind(call);
        var stack = Object.getOwnPropertyDescriptor(Error.prototype, "stack");
        var join = bind(Array.prototype.join);
        cut = bind(cut);

        define(Error, "prepareStackTrace", {get: function () {}, set: function () {}, configurable: false});
        define(OwnError.prototype, "stack", {get: stack.get, set: stack.set, configurable: false});
        define(OwnError.prototype, "message", {value: "", writable: false, configurable: false});
        define(OwnError.prototype, Symbol.toPrimitive, {
            value: function () { return "InternalError: " + this.message; }
        });
        stack = bind(stack.get);

        return function (source) {
            var value, result;
            try {
                value = evaluate(source);
                result = stringify(value);
            } catch (error) {
                return evaluate(report)(error, stringify, text, cut, join, stack, OwnError, TooDeep);
            }
            if (result === undefined) return '!["type","' + typeof value + '",""]';
            if (result.length > limit) return '!["size","' + result.length + '",""]';
            return result;
        };
    })
""")

#: How a caught exception is described. Text, since compiling it for nothing would be a third of the
#: time of a small evaluation. It uses its arguments only: the user's code has run by then. ``join`` and
#: not ``+``, since the binding can't read the ropes that ``+`` makes of longer strings.
REPORT = _one_line("""
    (function (error, stringify, text, cut, join, stack, OwnError, TooDeep) {
        "use strict";
        var kind = "error", message = "an exception that can not be shown", places = "";
        try {
            if (error === null) kind = "memory";
            else if (error instanceof OwnError) {
                if (error.message === "out of memory" || error.message === "string too long") kind = "memory";
            }
            else if (error instanceof TooDeep) {
                if (error.message === "Maximum call stack size exceeded") kind = "depth";
            }
        } catch (_) {}
        try {
            if (typeof error !== "object" || error === null) message = cut(text(error), 0, 1000);
            else if (error.message === undefined) message = cut(text(stringify(error)), 0, 1000);
            else if (error.name === undefined) message = cut(text(error.message), 0, 1000);
            else message = cut(text(error.name) + ": " + text(error.message), 0, 1000);
        } catch (_) {}
        try { places = cut(text(stack(error)), 0, 4000); } catch (_) {}
        return join(["![", join([stringify(kind), stringify(message), stringify(places)], ","), "]"], "");
    })
""")

#: Make ``console`` and return what gives the text that was printed, as JSON.
CONSOLE = _one_line("""
    (function () {
        "use strict";
        var stringify = JSON.stringify, text = String, printed = "";
        var cut = Function.prototype.call.bind(String.prototype.slice);
        function print() {
            for (var i = 0; i < arguments.length && printed.length < 65536; i++) {
                var shown = typeof arguments[i] === "object" ? stringify(arguments[i]) : arguments[i];
                printed += (i ? " " : "") + cut(text(shown), 0, 65536);
            }
            printed += "\\n";
        }
        Object.defineProperty(globalThis, "console", {
            value: {log: print, info: print, debug: print, warn: print, error: print},
            writable: true, configurable: true
        });
        return function () { return stringify(printed); };
    })()
""")
