"""Circumstances that are wrong: options, settings, queues, places, expressions, tools."""

from __future__ import annotations

from typing import Any

from tests.acceptance.bad_cases import Case, case, flow, tool

OPTIONS = (
    case("eval-timeout-zero", "--eval-timeout 0 echo.cwl hello.yml", "--eval-timeout", "0", "above 0"),
    case("eval-timeout-text", "--eval-timeout soon echo.cwl hello.yml", "--eval-timeout", "soon"),
    case("unknown-option", "--frobnicate echo.cwl hello.yml", "--frobnicate", "--help"),
    case("unknown-choice", "--on-error panic echo.cwl hello.yml", "--on-error", "panic", "continue"),
    case("no-document", "", "DOCUMENT"),
    case(
        "target-unknown",
        "--target two doc.cwl hello.yml",
        "two",
        "one",
        doc=flow("one: {run: echo.cwl, in: {message: message}, out: [out]}", "{message: string}"),
    ),
    case("target-of-tool", "--target out echo.cwl hello.yml", "--target", "tool"),
    case("dot-of-tool", "--print-dot echo.cwl", "echo.cwl", "Workflow"),
    case("deps-of-nothing", "--print-deps nowhere.cwl", "nowhere.cwl", "was not found"),
    case("unknown-command", "echo.cwl", "fly", "submit", command="fly"),
)

SETTINGS = (
    case("lease-text", "echo.cwl hello.yml", "CELERIAC_LEASE", "abc", "number", env={"CELERIAC_LEASE": "abc"}),
    case(
        "toml-unknown-key",
        "echo.cwl hello.yml",
        "celeriac.toml",
        "'leese'",
        "lease",
        files={"celeriac.toml": "leese = 3\n"},
    ),
    case("toml-invalid", "echo.cwl hello.yml", "celeriac.toml", "line 1", files={"celeriac.toml": "lease = = 3\n"}),
    case(
        "config-missing", "echo.cwl hello.yml", "CELERIAC_CONFIG", "other.toml", env={"CELERIAC_CONFIG": "other.toml"}
    ),
    case(
        "journal-malformed",
        "echo.cwl hello.yml",
        "CELERIAC_JOURNAL_URL",
        "no url",
        "sqlite:///",
        env={"CELERIAC_JOURNAL_URL": "no url"},
    ),
    case(
        "journal-unknown-driver",
        "echo.cwl hello.yml",
        "oracle",
        "postgresql",
        env={"CELERIAC_JOURNAL_URL": "oracle://h/db"},
    ),
    case(
        "journal-down",
        "echo.cwl hello.yml",
        "127.0.0.1:1",
        env={"CELERIAC_JOURNAL_URL": "postgresql://u@127.0.0.1:1/db", "CELERIAC_CONNECT_TIMEOUT": "2"},
    ),
    case("home-is-a-file", "echo.cwl hello.yml", "hello.yml", env={"CELERIAC_HOME": "hello.yml"}),
    case(
        "broker-down",
        "echo.cwl hello.yml",
        "127.0.0.1:1",
        command="submit",
        env={"CELERIAC_BROKER_URL": "redis://127.0.0.1:1/0"},
        limit=20,
    ),
    case(
        "broker-malformed",
        "echo.cwl hello.yml",
        "CELERIAC_BROKER_URL",
        "nonsense",
        command="submit",
        env={"CELERIAC_BROKER_URL": "nonsense"},
    ),
)

BIG = tool(more="requirements: {ResourceRequirement: {coresMin: 999}}")
GROWING = tool(
    "{n: int}", more="requirements: {InlineJavascriptRequirement: {}, ResourceRequirement: {coresMin: $(inputs.n)}}"
)
SMALL = "small: {cpus: 1, ram: 1024}\n"

QUEUES = (
    case("queues-missing", "echo.cwl hello.yml", "other.yaml", env={"CELERIAC_QUEUES": "other.yaml"}),
    case(
        "queues-syntax",
        "echo.cwl hello.yml",
        "bad.yaml:2",
        env={"CELERIAC_QUEUES": "bad.yaml"},
        files={"bad.yaml": "a: {cpus: 1\n"},
    ),
    case(
        "queues-text",
        "echo.cwl hello.yml",
        "bad.yaml:1",
        "cpus",
        "many",
        env={"CELERIAC_QUEUES": "bad.yaml"},
        files={"bad.yaml": "a: {cpus: many, ram: 1}\n"},
    ),
    case(
        "queues-here",
        "echo.cwl hello.yml",
        "queues.yaml:2",
        "ram",
        files={"queues.yaml": "a: {cpus: 1, ram: 1}\nb: {cpus: 1}\n"},
    ),
    case("no-queue-fits", "doc.cwl", "doc.cwl", "999", "small", doc=BIG, files={"queues.yaml": SMALL}),
    case("no-queue-fits-later", "doc.cwl -n 999", "doc.cwl", "999", "small", doc=GROWING, files={"queues.yaml": SMALL}),
    case("no-host-fits", "doc.cwl", "doc.cwl", "999", doc=BIG),
)

RESULTS = "run --quiet --outdir"
PLACES = (
    case(
        "outdir-is-a-file", "echo.cwl hello.yml", "--outdir", "hello.yml", "directory", command=f"{RESULTS} hello.yml"
    ),
    case(
        "outdir-under-a-file",
        "echo.cwl hello.yml",
        "hello.yml/results",
        "directory",
        command=f"{RESULTS} hello.yml/results",
    ),
    case(
        "tmpdir-under-a-file",
        "--tmpdir-prefix hello.yml/x echo.cwl hello.yml",
        "--tmpdir-prefix",
        "hello.yml",
        "directory",
    ),
)


def _expression(code: str, *says: str, **rest: Any) -> Case:
    name = str(rest.pop("name"))
    doc = (
        "cwlVersion: v1.2\nclass: ExpressionTool\nrequirements: {InlineJavascriptRequirement: {}}\n"
        f"inputs: {{}}\noutputs: {{o: Any}}\nexpression: {code}\n"
    )
    return case(name, f"{rest.pop('options', '')} doc.cwl", "doc.cwl", *says, doc=doc, **rest)


EXPRESSIONS = (
    _expression("'${return {o: 1'", "no end", name="expression-open"),
    _expression("'${return {o: ++};}'", "SyntaxError", name="expression-syntax"),
    _expression("'${throw new Error(\"too bad\");}'", "too bad", name="expression-exception"),
    _expression("'${while (true) {}}'", "1 seconds", name="expression-endless", options="--eval-timeout 1"),
    _expression("'$(nothing.here)'", "nothing", name="expression-unknown-name"),
    _expression("'$(1)'", "object", name="expression-no-object"),
    case(
        "javascript-not-required",
        "doc.cwl",
        "InlineJavascriptRequirement",
        doc=tool("{}", more="arguments: ['$(1 + 1)']"),
    ),
)

JSON_TEXT = "[sh, -c, 'echo ''{\"o\": \"text\"}'' > cwl.output.json']"
TOOLS = (
    case(
        "program-missing",
        "doc.cwl",
        "no-such-program",
        "doc.cwl",
        "DockerRequirement",
        doc=tool(command="no-such-program"),
    ),
    case(
        "exit-code",
        "doc.cwl",
        "doc.cwl",
        "exit code 3",
        "it went wrong",
        doc=tool(command="[sh, -c, 'echo it went wrong >&2; exit 3']"),
    ),
    case("killed-by-itself", "doc.cwl", "doc.cwl", doc=tool(command="[sh, -c, 'kill -9 $$']")),
    case(
        "step-exit-code",
        "doc.cwl",
        "one",
        "exit code 3",
        doc=flow("one: {run: bad.cwl, in: {}, out: []}"),
        files={"bad.cwl": tool(command="[sh, -c, 'exit 3']")},
    ),
    case(
        "output-missing",
        "doc.cwl",
        "doc.cwl",
        "'o'",
        "made.txt",
        doc=tool(outputs="{o: {type: File, outputBinding: {glob: made.txt}}}"),
    ),
    case(
        "output-too-many",
        "doc.cwl",
        "doc.cwl",
        "'o'",
        doc=tool(outputs="{o: {type: File, outputBinding: {glob: '*.txt'}}}", command="[touch, a.txt, b.txt]"),
    ),
    case(
        "output-json-invalid",
        "doc.cwl",
        "doc.cwl",
        "cwl.output.json",
        doc=tool(outputs="{o: int}", command="[sh, -c, 'echo { > cwl.output.json']"),
    ),
    case("output-wrong-type", "doc.cwl", "doc.cwl", "'o'", "int", doc=tool(outputs="{o: int}", command=JSON_TEXT)),
    case(
        "docker-required",
        "--no-container doc.cwl",
        "DockerRequirement",
        code=33,
        doc=tool(more="requirements: {DockerRequirement: {dockerPull: alpine}}"),
    ),
    case(
        "engine-unreachable",
        "doc.cwl",
        "nowhere.sock",
        doc=tool(more="requirements: {DockerRequirement: {dockerPull: alpine}}"),
        env={"CELERIAC_DOCKER_HOST": "unix:///nowhere.sock"},
    ),
    case(
        "empty-command",
        "doc.cwl",
        "doc.cwl",
        "empty",
        doc="cwlVersion: v1.2\nclass: CommandLineTool\ninputs: {}\noutputs: {}\n",
    ),
)

CASES = OPTIONS + SETTINGS + QUEUES + PLACES + EXPRESSIONS + TOOLS
