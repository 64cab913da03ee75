"""Documents that are wrong: each line of the table is one mistake of an author."""

from __future__ import annotations

from tests.acceptance.bad_cases import case, flow, tool

STEP = "one: {run: echo.cwl, in: {message: message}, out: [out]}"
MESSAGES = "{messages: 'string[]'}"
SUB = "{class: Workflow, inputs: {}, outputs: [], steps: {}}"
FIRST = "{class: ExpressionTool, inputs: {}, outputs: {o: string?}, expression: '$({\"o\": null})'}"
PICK = f"a: {{run: {FIRST}, in: {{}}, out: [o]}}\nb: {{run: {FIRST}, in: {{}}, out: [o]}}"
GRAPH = """\
cwlVersion: v1.2
$graph:
- {class: CommandLineTool, id: a, baseCommand: 'true', inputs: [], outputs: []}
- {class: CommandLineTool, id: b, baseCommand: 'true', inputs: [], outputs: []}
"""

READING = (
    case("missing", "nowhere.cwl", "nowhere.cwl", "was not found"),
    case("directory", "folder", "folder", "directory", files={"folder/x": ""}),
    case("empty", "doc.cwl", "doc.cwl", "is empty", doc=""),
    case(
        "yaml-syntax", "doc.cwl", "doc.cwl:4:1", "line 3", doc="cwlVersion: v1.2\nclass: CommandLineTool\ninputs: [a\n"
    ),
    case("yaml-tab", "doc.cwl", "doc.cwl:2", doc="inputs:\n\ta: string\n"),
    case("json-syntax", "doc.cwl", "doc.cwl:2", doc='{"cwlVersion": "v1.2",\n "class": ]}\n'),
    case("list", "doc.cwl", "doc.cwl", "a list", "mapping", "expected", doc="- a\n- b\n"),
    case("binary", "doc.cwl", "doc.cwl", "UTF-8", doc=b"\x7fELF\xff\xfe\x00\x01"),
    case("refused", "http://127.0.0.1:1/doc.cwl", "http://127.0.0.1:1/doc.cwl", "refused"),
    case("unknown-fragment", "graph.cwl#c", "graph.cwl", "'c'", files={"graph.cwl": GRAPH}),
    case("graph-without-main", "graph.cwl", "graph.cwl", "main", "graph.cwl#a", files={"graph.cwl": GRAPH}),
)

VERSION = (
    case("no-version", "doc.cwl", "doc.cwl", "cwlVersion", doc="class: CommandLineTool\ninputs: []\noutputs: []\n"),
    case("unknown-version", "doc.cwl", "doc.cwl", "v9.9", "v1.2", doc=tool().replace("v1.2", "v9.9")),
    case("draft-2", "doc.cwl", "doc.cwl", "draft-2", "v1.2", doc=tool().replace("v1.2", "draft-2")),
)

FIELDS = (
    case("wrong-class", "doc.cwl", "doc.cwl", "CommandTool", doc=tool().replace("CommandLineTool", "CommandTool")),
    case("no-class", "doc.cwl", "doc.cwl", "class", doc="cwlVersion: v1.2\ninputs: []\noutputs: []\n"),
    case("unknown-field", "doc.cwl", "doc.cwl:6", "baseComand", doc=tool(more="baseComand: echo")),
    case("missing-outputs", "doc.cwl", "doc.cwl", "outputs", doc=tool().replace("outputs: []\n", "")),
    case("bad-type", "doc.cwl", "doc.cwl:4", "strin", doc=tool("{x: strin}")),
    case(
        "duplicate-id", "doc.cwl", "doc.cwl", "two inputs", "'x'", doc=tool("[{id: x, type: int}, {id: x, type: int}]")
    ),
    case("duplicate-key", "doc.cwl", "doc.cwl:7", "stdout", doc=tool(more="stdout: a\nstdout: b")),
    case("import-missing", "doc.cwl", "doc.cwl", "'inputs'", "types.yml", doc=tool("{$import: types.yml}")),
    case(
        "include-missing",
        "doc.cwl",
        "doc.cwl",
        "lib.js",
        doc=tool(more=("requirements: {InlineJavascriptRequirement: {expressionLib: [{$include: lib.js}]}}")),
    ),
    case(
        "run-missing",
        "doc.cwl",
        "doc.cwl:7",
        "'run'",
        "nowhere.cwl",
        doc=flow("one: {run: nowhere.cwl, in: {}, out: []}"),
    ),
    case(
        "bad-requirement-field",
        "doc.cwl",
        "doc.cwl:6",
        "coresMinimum",
        doc=tool(more="requirements: {ResourceRequirement: {coresMinimum: 1}}"),
    ),
)

LINKS = (
    case("step-input-missing", "doc.cwl", "doc.cwl:7", "message", doc=flow("one: {run: echo.cwl, in: {}, out: [out]}")),
    case("link-to-nothing", "doc.cwl", "doc.cwl:7", "message", doc=flow(STEP)),
    case(
        "missing-step-output",
        "doc.cwl",
        "doc.cwl:7",
        "nothing",
        doc=flow("one: {run: echo.cwl, in: {message: message}, out: [nothing]}", "{message: string}"),
    ),
    case(
        "type-mismatch", "doc.cwl --message 1", "doc.cwl", "message", "int", "string", doc=flow(STEP, "{message: int}")
    ),
    case(
        "cycle",
        "doc.cwl",
        "doc.cwl",
        "a",
        "b",
        "cycle",
        doc=flow("a: {run: cat.cwl, in: {f: b/out}, out: [out]}\nb: {run: cat.cwl, in: {f: a/out}, out: [out]}"),
        files={"cat.cwl": tool("{f: File}", "{out: stdout}", "stdout: o", "cat")},
    ),
    case(
        "runs-itself",
        "doc.cwl",
        "doc.cwl",
        "refers to itself",
        doc=flow("one: {run: doc.cwl, in: {}, out: []}", requires="SubworkflowFeatureRequirement"),
    ),
    case(
        "no-multiple-input",
        "doc.cwl -a x -b y",
        "doc.cwl",
        "MultipleInputFeatureRequirement",
        doc=flow(
            "one: {run: echo.cwl, in: {message: {source: [a, b], pickValue: first_non_null}}, out: [out]}",
            "{a: string, b: string}",
        ),
    ),
    case(
        "bad-link-merge",
        "doc.cwl",
        "doc.cwl:7",
        "linkMerge",
        "merge_sideways",
        doc=flow(
            "one: {run: echo.cwl, in: {message: {source: [a, b], linkMerge: merge_sideways}}, out: [out]}",
            "{a: string, b: string}",
            requires="MultipleInputFeatureRequirement",
        ),
    ),
    case(
        "bad-pick-value",
        "doc.cwl",
        "doc.cwl:7",
        "pickValue",
        "second",
        doc=flow(
            "one: {run: echo.cwl, in: {message: {source: message, pickValue: second}}, out: [out]}", "{message: string}"
        ),
    ),
    case(
        "pick-among-nulls",
        "doc.cwl",
        "all sources of 'o' are null",
        "first_non_null",
        doc=flow(
            PICK,
            outputs="{o: {type: string, outputSource: [a/o, b/o], pickValue: first_non_null}}",
            requires="InlineJavascriptRequirement MultipleInputFeatureRequirement",
        ),
    ),
    case(
        "pick-the-only-of-two",
        "doc.cwl -a x -b y",
        "2 sources of 'message'",
        "the_only_non_null",
        "one",
        doc=flow(
            "one: {run: echo.cwl, in: {message: {source: [a, b], pickValue: the_only_non_null}}, out: [out]}",
            "{a: string?, b: string?}",
            requires="MultipleInputFeatureRequirement",
        ),
    ),
)

SCATTER = "one: {run: echo.cwl, in: {message: messages}, scatter: message, out: [out]}"
TWO = "one: {run: pair.cwl, in: {a: x, b: y}, scatter: [a, b], METHOD out: []}"
PAIR = {"pair.cwl": tool("{a: string, b: string}")}
XY = "{x: 'string[]', y: 'string[]'}"
ON = "ScatterFeatureRequirement"

FEATURES = (
    case("scatter-not-required", "doc.cwl --messages a", "doc.cwl", ON, doc=flow(SCATTER, MESSAGES)),
    case(
        "scatter-over-text",
        "doc.cwl --messages a",
        "doc.cwl",
        "messages",
        "array",
        doc=flow(SCATTER, "{messages: string}", requires=ON),
    ),
    case(
        "scatter-over-nothing",
        "doc.cwl --messages a",
        "doc.cwl:7",
        "scatter",
        doc=flow(SCATTER.replace("scatter: message", "scatter: text"), MESSAGES, requires=ON),
    ),
    case(
        "scatter-without-method",
        "doc.cwl -x a -y b",
        "doc.cwl",
        "scatterMethod",
        doc=flow(TWO.replace("METHOD", ""), XY, requires=ON),
        files=PAIR,
    ),
    case(
        "scatter-bad-method",
        "doc.cwl",
        "doc.cwl:7",
        "scatterMethod",
        "zip",
        doc=flow(TWO.replace("METHOD", "scatterMethod: zip,"), XY, requires=ON),
        files=PAIR,
    ),
    case(
        "scatter-unequal",
        "doc.cwl -x a -y b -y c",
        "one",
        "a has 1",
        "b has 2",
        doc=flow(TWO.replace("METHOD", "scatterMethod: dotproduct,"), XY, requires=ON),
        files=PAIR,
    ),
    case(
        "value-from-not-required",
        "doc.cwl",
        "doc.cwl",
        "StepInputExpressionRequirement",
        doc=flow("one: {run: echo.cwl, in: {message: {valueFrom: hi}}, out: [out]}"),
    ),
    case(
        "subworkflow-not-required",
        "doc.cwl",
        "doc.cwl",
        "SubworkflowFeatureRequirement",
        doc=flow(f"one: {{run: {SUB}, in: {{}}, out: []}}"),
    ),
    case(
        "unknown-requirement",
        "doc.cwl",
        "doc.cwl",
        "TeleportRequirement",
        doc=tool(more="requirements: {TeleportRequirement: {}}"),
    ),
    case(
        "unsupported-requirement",
        "doc.cwl",
        "doc.cwl",
        "cwltool#MPIRequirement",
        code=33,
        doc=tool(
            more="$namespaces: {cwltool: 'http://commonwl.org/cwltool#'}\n"
            "requirements: {cwltool:MPIRequirement: {processes: 2}}"
        ),
    ),
    case(
        "operation",
        "doc.cwl",
        "Operation",
        code=33,
        doc="cwlVersion: v1.2\nclass: Operation\ninputs: {}\noutputs: {}\n",
    ),
    case(
        "operation-step",
        "doc.cwl",
        "Operation",
        "later",
        code=33,
        doc=flow("later: {run: {class: Operation, inputs: {}, outputs: {}}, in: {}, out: []}"),
    ),
)

CASES = READING + VERSION + FIELDS + LINKS + FEATURES
