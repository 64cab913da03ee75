"""Inputs that do not fit: job files, and a document's inputs as flags."""

from __future__ import annotations

from tests.acceptance.bad_cases import case, tool

RECORD = "{r: {type: {type: record, name: R, fields: {a: int, b: string}}}}"
ENUM = "{e: {type: {type: enum, name: E, symbols: [red, blue]}}}"
INDEXED = "{f: {type: File, secondaryFiles: [{pattern: .idx, required: true}]}}"
FORMATTED = tool("{f: {type: File, format: 'http://example.com/b'}}")

READING = (
    case("job-missing", "echo.cwl nothing.yml", "nothing.yml", "was not found", "job file"),
    case("job-directory", "echo.cwl folder", "folder", "is a directory", "job file", files={"folder/x": ""}),
    case("job-empty", "echo.cwl job.yml", "job.yml", "is empty", "mapping", job=""),
    case("job-list", "echo.cwl job.yml", "job.yml", "a list", "mapping", job="- message: a\n"),
    case("job-syntax", "echo.cwl job.yml", "job.yml:3:1", "line 2", job="message: hello\nother: [1, 2\n"),
    case("job-json-syntax", "echo.cwl job.json", "job.json:2", files={"job.json": '{"message": "a",\n "b": ]}\n'}),
    case("job-duplicate-key", "echo.cwl job.yml", "job.yml:2", "message", job="message: a\nmessage: b\n"),
    case("job-binary", "echo.cwl job.yml", "job.yml", "UTF-8", job=b"message: \xff\xfe\n"),
    case("job-refused", "echo.cwl http://127.0.0.1:1/job.yml", "http://127.0.0.1:1/job.yml", "refused"),
    case("job-on-stdin-syntax", "echo.cwl -", "stdin", stdin="{message: [\n"),
)

TYPES = (
    case("missing-input", "echo.cwl job.yml", "job.yml", "message", job="{}\n"),
    case("null-input", "echo.cwl job.yml", "job.yml:1", "message", "string", job="message: null\n"),
    case("unknown-input", "echo.cwl job.yml", "job.yml", "message", "mesage", job="mesage: hello\n"),
    case("number-for-text", "echo.cwl job.yml", "job.yml:1", "message", "string", "3", job="message: 3\n"),
    case("text-for-int", "doc.cwl job.yml", "job.yml:1", "'n'", "int", "many", doc=tool("{n: int}"), job="n: many\n"),
    case(
        "text-for-file", "doc.cwl job.yml", "job.yml:1", "'f'", "File", "a.txt", doc=tool("{f: File}"), job="f: a.txt\n"
    ),
    case(
        "directory-for-file",
        "doc.cwl job.yml",
        "job.yml:1",
        "'f'",
        "File",
        "Directory",
        doc=tool("{f: File}"),
        job="f: {class: Directory, path: .}\n",
    ),
    case(
        "directory-as-file",
        "doc.cwl job.yml",
        "job.yml",
        "folder",
        "directory",
        doc=tool("{f: File}"),
        job="f: {class: File, path: folder}\n",
        files={"folder/x": ""},
    ),
    case(
        "file-as-directory",
        "doc.cwl job.yml",
        "echo.cwl",
        "directory",
        doc=tool("{d: Directory}"),
        job="d: {class: Directory, path: echo.cwl}\n",
    ),
    case(
        "wrong-symbol", "doc.cwl job.yml", "job.yml:1", "'e'", "green", "red", "blue", doc=tool(ENUM), job="e: green\n"
    ),
    case(
        "wrong-field", "doc.cwl job.yml", "job.yml:1", "'r'", "'b'", "string", doc=tool(RECORD), job="r: {a: 1, b: 2}\n"
    ),
    case("missing-field", "doc.cwl job.yml", "job.yml:1", "'r'", "b: string", doc=tool(RECORD), job="r: {a: 1}\n"),
    case(
        "one-for-array", "doc.cwl job.yml", "job.yml:1", "'many'", "int[]", doc=tool("{many: 'int[]'}"), job="many: 1\n"
    ),
    case(
        "wrong-item",
        "doc.cwl job.yml",
        "job.yml:1",
        "'many'",
        "int[]",
        "'two'",
        doc=tool("{many: 'int[]'}"),
        job="many: [1, two]\n",
    ),
    case("array-for-one", "echo.cwl job.yml", "job.yml:1", "message", "string", job="message: [a, b]\n"),
)

FILES = (
    case(
        "input-file-missing",
        "doc.cwl job.yml",
        "job.yml:1",
        "'f'",
        "lost.txt",
        "does not exist",
        doc=tool("{f: File}"),
        job="f: {class: File, path: lost.txt}\n",
    ),
    case(
        "input-directory-missing",
        "doc.cwl job.yml",
        "job.yml:1",
        "lost",
        "does not exist",
        doc=tool("{d: Directory}"),
        job="d: {class: Directory, path: lost}\n",
    ),
    case(
        "file-without-path",
        "doc.cwl job.yml",
        "job.yml",
        "path, location or contents",
        doc=tool("{f: File}"),
        job="f: {class: File}\n",
    ),
    case(
        "secondary-file-missing",
        "doc.cwl job.yml",
        "job.yml",
        "echo.cwl.idx",
        doc=tool(INDEXED),
        job="f: {class: File, path: echo.cwl}\n",
    ),
    case(
        "input-url-refused",
        "doc.cwl job.yml",
        "doc.cwl",
        "127.0.0.1:1/a",
        "refused",
        doc=tool("{f: {type: File, inputBinding: {}}}", command="cat"),
        job="f: {class: File, location: 'http://127.0.0.1:1/a'}\n",
    ),
    case(
        "wrong-format",
        "doc.cwl job.yml",
        "job.yml:1",
        "'f'",
        "http://example.com/b",
        doc=FORMATTED,
        job="f: {class: File, path: echo.cwl, format: 'http://example.com/a'}\n",
    ),
)

FLAGS = (
    case("flag-missing", "echo.cwl", "echo.cwl", "--message", "--help"),
    case("flag-unknown", "echo.cwl --mesage hello", "echo.cwl", "--mesage", "--help"),
    case("flag-without-value", "echo.cwl --message", "echo.cwl", "--message", "expected one argument"),
    case("flag-no-int", "doc.cwl -n many", "doc.cwl", "-n", "int", "many", doc=tool("{n: int}")),
    case("flag-wrong-symbol", "doc.cwl -e green", "'e'", "green", "red", "blue", doc=tool(ENUM)),
    case("no-flag-for-type", "doc.cwl", "doc.cwl", "u", "job file", doc=tool("{u: [int, string]}")),
    case("own-option-after-document", "echo.cwl --message a --log-dir x", "--log-dir", "before the document"),
    case("two-job-files", "echo.cwl hello.yml other.yml", "echo.cwl", "other.yml"),
)

CASES = READING + TYPES + FILES + FLAGS
