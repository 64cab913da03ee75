"""A document that was loaded before comes back from the disk the same, and never when anything of it changed."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from celeriac.document import disk as disk_module
from celeriac.document import kept, remake
from celeriac.document.cache import DocumentCache
from celeriac.document.disk import Disk
from celeriac.document.document import Document
from celeriac.document.inputs import JOB_CONTEXT, JOB_ID, from_mapping, initialise
from celeriac.document.load import load
from celeriac.errors import DocumentError, InputError

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = {
    "flow.cwl": """\
cwlVersion: v1.2
class: Workflow
requirements:
  SchemaDefRequirement: {types: [{$import: types.yml}]}
  InlineJavascriptRequirement: {expressionLib: [{$include: lib.js}]}
  StepInputExpressionRequirement: {}
inputs: {c: types.yml#color, n: {type: float, default: 0.10}}
outputs: {o: {type: Any, outputSource: tool/o}}
steps:
  tool: {run: tool.cwl, in: {c: c, n: n}, out: [o]}
  inline:
    in: {c: {source: c, valueFrom: $(self)}}
    out: []
    hints: {ResourceRequirement: {coresMin: 0.50}}
    run: {class: CommandLineTool, baseCommand: 'true', inputs: {c: Any}, outputs: {}}
""",
    "types.yml": "{type: enum, name: color, symbols: [red, blue]}\n",
    "lib.js": "function give(c) { return {o: c}; }\n",
    "tool.cwl": """\
cwlVersion: v1.0
class: ExpressionTool
requirements: {InlineJavascriptRequirement: {}}
inputs: {c: Any, n: float}
outputs: {o: Any}
expression: '$({o: inputs.c})'
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    for name, text in FILES.items():
        (made / name).write_text(text)
    return made


@pytest.fixture(autouse=True)
def _unheard() -> Iterator[None]:
    """As on the command line: the libraries' own words are for --debug."""
    loggers = [logging.getLogger(name) for name in ("cwltool", "salad")]
    for logger in loggers:
        logger.disabled = True
    yield
    for logger in loggers:
        logger.disabled = False


def cache(folder: Path) -> DocumentCache:
    return DocumentCache.under(folder.parent / "cache")


def from_disk(document: Document) -> bool:
    return isinstance(document.tools, kept.KeptTools)


def entries(folder: Path) -> list[Path]:
    return sorted((folder.parent / "cache" / "documents").iterdir())


def twice(folder: Path) -> Document:
    """Load the workflow in two processes, as it were."""
    assert not from_disk(cache(folder).load(f"{folder}/flow.cwl"))
    return cache(folder).load(f"{folder}/flow.cwl")


def test_it_comes_back_the_same(folder: Path) -> None:
    found, loaded = twice(folder), load(f"{folder}/flow.cwl")
    assert from_disk(found) and found.graph.steps and loaded.graph.steps
    assert list(found.graph.steps) == list(loaded.graph.steps)
    assert found.hash == loaded.hash and found.graph.at("tool") == loaded.graph.at("tool")
    assert repr(found.graph.steps["tool"].inputs) == repr(loaded.graph.steps["tool"].inputs)
    for step in ("tool", "inline", ""):
        ours, theirs = found.tool(step), loaded.tool(step)
        without_name = {"id", "steps"} if step == "inline" else {"steps"}
        assert _without(ours.tool, without_name) == _without(theirs.tool, without_name)
        assert (ours.requirements, ours.hints) == (theirs.requirements, theirs.hints)
        assert ours.tool["inputs"].lc.data == theirs.tool["inputs"].lc.data
        assert ours.tool["inputs"][0].lc.filename == theirs.tool["inputs"][0].lc.filename
    assert found.tool("tool") is found.tool("tool")


def _without(tool: dict[str, Any], names: set[str]) -> Any:
    found = json.loads(json.dumps({name: value for name, value in tool.items() if name not in names}))
    for field in ("inputs", "outputs"):
        for port in found[field]:
            port["id"] = port["id"].rpartition("/")[2]
    return found


def test_how_a_number_was_written_comes_back(folder: Path) -> None:
    port = twice(folder).process.tool["inputs"][1]
    assert port["default"] == 0.1 and type(port["default"]).__name__ == "ScalarFloat"


def test_inputs_are_bound_and_faults_named_as_before(folder: Path) -> None:
    found, loaded = twice(folder), load(f"{folder}/flow.cwl")
    job = from_mapping({"c": "red"}, f"file://{folder}/flow.cwl")
    assert initialise(found, job, 60.0) == initialise(loaded, job, 60.0) == {"c": "red", "n": 0.1}
    wrong = from_mapping({"c": "green"}, f"file://{folder}/flow.cwl")
    messages = []
    for document in (found, loaded):
        with pytest.raises(InputError) as caught:
            initialise(document, wrong, 60.0)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("name", FILES)
def test_a_change_of_any_file_is_seen(folder: Path, name: str) -> None:
    assert from_disk(twice(folder))
    before = (folder / name).stat()
    text = FILES[name].replace("blue", "grey").replace("{o: c}", "{o: 2}").replace("$({o: inputs", "$( {o:inputs")
    text = text.replace("baseCommand: 'true'", "baseCommand: 'fals'")
    assert len(text) == len(FILES[name]) and text != FILES[name]
    (folder / name).write_text(text)
    os.utime(folder / name, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not from_disk(cache(folder).load(f"{folder}/flow.cwl"))
    assert from_disk(cache(folder).load(f"{folder}/flow.cwl"))
    (folder / name).write_text(FILES[name])
    assert from_disk(cache(folder).load(f"{folder}/flow.cwl")), "what it was before is still there"


def test_a_file_that_is_gone_is_an_error(folder: Path) -> None:
    twice(folder)
    (folder / "tool.cwl").unlink()
    with pytest.raises(DocumentError, match="tool.cwl"):
        cache(folder).load(f"{folder}/flow.cwl")


def test_a_reference_that_was_only_looked_for_counts(folder: Path) -> None:
    (folder / "flow.cwl").write_text("{cwlVersion: v1.2, class: Workflow, inputs: {}, outputs: {}, steps: {}}")
    disk = Disk(folder.parent / "cache" / "documents")
    document = load(f"{folder}/flow.cwl")
    document.snapshot.exists[f"file://{folder}/there.txt"] = False
    disk.keep(document, f"{folder}/flow.cwl")
    assert disk.find(f"{folder}/flow.cwl") is not None
    (folder / "there.txt").touch()
    assert disk.find(f"{folder}/flow.cwl") is None


def test_a_fragment_is_another_document(folder: Path) -> None:
    tool = "{class: CommandLineTool, id: NAME, baseCommand: 'true', inputs: {}, outputs: {}}"
    tools = ", ".join(tool.replace("NAME", name) for name in ("a", "b"))
    (folder / "graph.cwl").write_text(f"{{cwlVersion: v1.2, $graph: [{tools}]}}")
    for _ in range(2):
        for name in ("a", "b"):
            assert cache(folder).load(f"{folder}/graph.cwl#{name}").graph.name == name
    with pytest.raises(DocumentError):
        cache(folder).load(f"{folder}/graph.cwl")


def test_it_is_found_from_another_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twice(folder)
    monkeypatch.chdir(folder)
    found = cache(folder).load("flow.cwl")
    assert from_disk(found)
    assert found.process.tool["inputs"].lc.filename == "flow.cwl", "messages start at the working directory"


def test_a_snapshot_comes_from_the_disk_too(folder: Path) -> None:
    snapshot = cache(folder).load(f"{folder}/flow.cwl").snapshot
    for name in FILES:
        (folder / name).unlink()
    found = cache(folder).get(snapshot.hash, lambda: snapshot.body)
    assert from_disk(found) and found.hash == snapshot.hash


def test_to_load_anew_is_to_load(folder: Path) -> None:
    twice(folder)
    assert not from_disk(cache(folder).load(f"{folder}/flow.cwl", anew=True))


def test_overrides_and_targets_are_not_kept(folder: Path) -> None:
    twice(folder)
    overrides = [{"overrideTarget": f"file://{folder}/tool.cwl", "requirements": []}]
    assert not from_disk(cache(folder).load(f"{folder}/flow.cwl", overrides))
    for _ in range(2):
        assert list(cache(folder).load(f"{folder}/flow.cwl", targets=["tool"]).graph.steps or ()) == ["tool"]
    assert len(entries(folder)) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-7]),
        lambda path: path.write_bytes(path.read_bytes().replace(b"tool", b"loot")),
        lambda path: path.write_bytes(b"\x80\x05N."),
        lambda path: path.chmod(0o666),
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["empty", "short", "other", "pickle", "anybody's", "directory"],
)
def test_a_damaged_entry_is_as_good_as_none(folder: Path, damage: Callable[[Path], Any]) -> None:
    assert from_disk(twice(folder))
    for path in entries(folder):
        damage(path)
    again = cache(folder).load(f"{folder}/flow.cwl")
    assert not from_disk(again)
    assert again.graph.steps


@pytest.mark.parametrize("other", ["FORMAT", "SHAPE"])
def test_an_entry_of_another_version_is_not_read(folder: Path, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    twice(folder)
    monkeypatch.setattr(disk_module, other, {"FORMAT": 0, "SHAPE": {}}[other])
    assert not from_disk(cache(folder).load(f"{folder}/flow.cwl"))


def test_the_oldest_go(folder: Path) -> None:
    disk = Disk(folder.parent / "cache" / "documents", most=6)
    names = [f"{folder}/{number}.cwl" for number in range(6)]
    for number, name in enumerate(names):
        Path(name).write_text(FILES["tool.cwl"] + f"label: number {number}\n")
        disk.keep(load(name), name)
        for path in entries(folder):
            status = path.stat()
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - 10**9))
    assert len(entries(folder)) == 6
    assert [disk.find(name) is not None for name in names] == [False, False, False, True, True, True]


def test_they_are_bounded_in_bytes(folder: Path) -> None:
    Disk(folder.parent / "cache" / "documents", most_bytes=10).keep(load(f"{folder}/flow.cwl"), f"{folder}/flow.cwl")
    assert entries(folder) == []


def test_many_may_load_at_once(folder: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda number: cache(folder).load(f"{folder}/flow.cwl").hash, range(12)))
    assert len(set(found)) == 1
    assert len(entries(folder)) == 2, "no file is left half written"


def test_what_was_complained_of_is_loaded_again(folder: Path) -> None:
    for name in ("cwltool", "salad"):
        logging.getLogger(name).disabled = False
    (folder / "loud.cwl").write_text(FILES["tool.cwl"].replace("n: float", "n: {type: float, format: file:///x}"))
    for _ in range(2):
        assert not from_disk(cache(folder).load(f"{folder}/loud.cwl")), "the warning is said again"
    logging.getLogger("cwltool").disabled = logging.getLogger("salad").disabled = True
    cache(folder).load(f"{folder}/loud.cwl")
    assert from_disk(cache(folder).load(f"{folder}/loud.cwl")), "nobody would have heard it"


def test_ontologies_are_not_kept(folder: Path) -> None:
    (folder / "o.cwl").write_text(FILES["tool.cwl"] + "$schemas: [o.ttl]\n$namespaces: {e: 'http://e.org/'}\n")
    (folder / "o.ttl").write_text("<http://e.org/a> <http://e.org/b> <http://e.org/c> .\n")
    for _ in range(2):
        assert not from_disk(cache(folder).load(f"{folder}/o.cwl"))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/*.cwl")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_our_examples_come_back(path: Path, tmp_path: Path) -> None:
    first = DocumentCache.under(tmp_path).load(str(path))
    found = DocumentCache.under(tmp_path).load(str(path))
    assert from_disk(found) and found.graph == first.graph
    for step, _ in found.graph.walk():
        assert found.tool(step).tool["inputs"] == first.tool(step).tool["inputs"]


def test_jobs_are_read_as_cwltool_reads_them() -> None:
    from cwltool.load_tool import jobloader_id_name, jobloaderctx

    assert jobloaderctx == JOB_CONTEXT and jobloader_id_name == JOB_ID


def test_a_flow_is_not_run_by_cwltool(folder: Path) -> None:
    process = twice(folder).process
    assert isinstance(process, remake.Flow)
    with pytest.raises(NotImplementedError):
        process.job()
