"""What cwltool does anew for every process of a document, done once.

cwltool makes the schema of the types File, Directory and Any for every process, and reads, checks and builds
a tool again for every step that runs it; a file with a ``$graph`` is gone through for every one of its steps.
Both have the same result each time, so a document of a thousand steps loads many times faster when it is
kept. :func:`install` puts what does so in the place of the functions that cwltool calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from cwltool import process, workflow
from cwltool.context import LoadingContext
from cwltool.load_tool import fetch_document, make_tool, resolve_and_validate_document
from cwltool.process import Process
from ruamel.yaml.comments import LineCol
from schema_salad import schema
from schema_salad.avro.schema import Names
from schema_salad.ref_resolver import Loader

from celeriac.document.fetch import read_quickly

#: File, Directory and Any in CWL's own schema.
_TYPES = ("cwl#File", "cwl#Directory", "salad#Any")

_cwltool_s: Any = vars(workflow)["load_tool"]


@dataclass(frozen=True)
class Types:
    """The types that every process knows: what their schema is made of, and what comes of it."""

    given: tuple[Any, Any, Any]  # File, Directory, Any, as cwltool's schema has them
    names: Names
    vocabulary: dict[str, str]  # of the schema language

    @classmethod
    def make(cls) -> Types:
        """Do what cwltool does; slow, since the schema of schemas has to be parsed for it."""
        process.get_schema("v1.0")
        index = process.SCHEMA_CACHE["v1.0"][3].idx
        file, directory, anything = (index[f"https://w3id.org/cwl/{name}"] for name in _TYPES)
        vocabulary = dict(schema.get_metaschema()[2].vocab)
        made = schema.make_avro_schema([file, directory, anything], Loader({}), vocabulary)
        return cls((file, directory, anything), made, vocabulary)


class Loading(LoadingContext):
    """What one document is loaded with. cwltool copies it for each step, and what was loaded goes along."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.files: dict[str, tuple[LoadingContext, str]] = {}  # reference -> its context and URI
        self.processes: dict[str, list[_Built]] = {}  # by URI


@dataclass(frozen=True)
class _Built:
    requirements: Sequence[Any]  # that it got from around it
    hints: Sequence[Any]
    process: Process


def install(types: Types) -> None:
    """Have cwltool use what is kept; to do it twice is the same as once."""

    def make_avro_schema(*rest: Any) -> Names:
        """Return a copy: each process adds the types of its inputs and outputs."""
        names = Names()
        names.names.update(types.names.names)
        return names

    def make_valid_avro(items: Any, known: Any, found: Any, **rest: Any) -> Any:
        return schema.make_valid_avro(items, known, found, **{"vocab": types.vocabulary, **rest})

    file, directory, anything = types.given
    replaced: dict[tuple[Any, str], Any] = {
        (process, "SCHEMA_FILE"): file,
        (process, "SCHEMA_DIR"): directory,
        (process, "SCHEMA_ANY"): anything,
        (process, "make_avro_schema"): make_avro_schema,
        (process, "Loader"): lambda context: None,  # what it makes is given to that function alone
        (process, "make_valid_avro"): make_valid_avro,
        (workflow, "load_tool"): _load_tool,
        (LineCol, "__deepcopy__"): _same_place,
    }
    for (owner, name), ours in replaced.items():
        setattr(owner, name, ours)


def _same_place(place: LineCol, memo: Any) -> LineCol:
    """Copy where in a file something is: that never changes, and the lines of all steps are in that of each."""
    copy = LineCol()
    vars(copy).update(vars(place))
    return copy


def _load_tool(reference: Any, context: LoadingContext | None = None) -> Process:
    """Load what a step runs, as cwltool's ``load_tool``."""
    if not isinstance(context, Loading) or not isinstance(reference, str):
        return cast(Process, _cwltool_s(reference, context))
    if reference not in context.files:
        assert context.loader is not None
        read_quickly(context.loader, reference)
        opened, source, uri = fetch_document(reference, context)
        context.files[reference] = resolve_and_validate_document(opened, source, uri)
    found, uri = context.files[reference]
    known = context.processes.setdefault(uri, [])
    requirements, hints = context.requirements or [], context.hints or []
    for built in known:
        if built.requirements == requirements and built.hints == hints:
            return built.process
    own = context.copy()
    own.loader, own.avsc_names, own.metadata, own.jobdefaults = (
        found.loader, found.avsc_names, found.metadata, found.jobdefaults,
    )  # fmt: skip
    made = make_tool(uri, own)
    known.append(_Built(requirements, hints, made))
    return made
