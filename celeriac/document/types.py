"""The types that every process knows, File, Directory and Any: their schema, made once.

cwltool makes it anew for every process, after it has parsed the schema of schemas. :func:`install` puts what
was kept in the place of the functions that it calls for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cwltool import process
from schema_salad import schema
from schema_salad.avro.schema import Names
from schema_salad.ref_resolver import Loader

#: File, Directory and Any in CWL's own schema.
_NAMES = ("cwl#File", "cwl#Directory", "salad#Any")


@dataclass(frozen=True)
class Types:
    """What the types' schema is made of, and what comes of it."""

    given: tuple[Any, Any, Any]  # File, Directory, Any, as cwltool's schema has them
    names: Names
    vocabulary: dict[str, str]  # of the schema language

    @classmethod
    def make(cls) -> Types:
        """Do what cwltool does; slow, since the schema of schemas has to be parsed for it."""
        process.get_schema("v1.0")
        index = process.SCHEMA_CACHE["v1.0"][3].idx
        file, directory, anything = (index[f"https://w3id.org/cwl/{name}"] for name in _NAMES)
        vocabulary = dict(schema.get_metaschema()[2].vocab)
        made = schema.make_avro_schema([file, directory, anything], Loader({}), vocabulary)
        return cls((file, directory, anything), made, vocabulary)


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
    ours: dict[str, Any] = {
        "SCHEMA_FILE": file,
        "SCHEMA_DIR": directory,
        "SCHEMA_ANY": anything,
        "make_avro_schema": make_avro_schema,
        "Loader": lambda context: None,  # what it makes is given to that function alone
        "make_valid_avro": make_valid_avro,
    }
    for name, value in ours.items():
        setattr(process, name, value)
