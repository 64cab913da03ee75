"""The queue file: good ones become limits, bad ones one message that names the line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.errors import QueueFileError
from celeriac.resources import QueueLimits
from queues.fields import KEYS
from queues.file import MAX_BYTES, load
from queues.nodes import Refused, compose

GOOD = "good: {cpus: 1, ram: 1}\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory; errors name the file as it was given."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str | bytes) -> Path:
    path = Path("queues.yaml")
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


# --- good files ----------------------------------------------------------------------------------


def test_the_smallest_file(here: Path) -> None:
    assert load(write("a: {cpus: 1, ram: 2}\n")) == (QueueLimits("a", 1.0, 2),)


def test_all_keys_in_block_style_and_the_order_of_the_file(here: Path) -> None:
    text = """\
    # a comment
    zeta:
      cpus: 0.5
      ram: 512
    gpu_1.x-y:
      cpus: 16
      ram: 65536
      gpus: 2
      priority: 9
      max_runtime: 3600
      default: true
    """
    assert load(write(text)) == (
        QueueLimits("zeta", 0.5, 512),
        QueueLimits("gpu_1.x-y", 16.0, 65536, gpus=2, priority=9, max_runtime=3600.0, default=True),
    )


@pytest.mark.parametrize(
    ("text", "ram"),
    [("2048", 2048), ("2_048", 2048), ("2048.0", 2048), ("2e3", 2000), ("+7", 7), ("1" + "0" * 30, 10**30)],
)
def test_decimal_numbers_as_people_write_them(here: Path, text: str, ram: int) -> None:
    (queue,) = load(write(f"a: {{cpus: 1, ram: {text}}}"))
    assert queue.ram == ram
    assert isinstance(queue.ram, int)


@pytest.mark.parametrize(("text", "value"), [("true", True), ("no", False), ("False", False), ("on", True)])
def test_booleans_as_yaml_has_them(here: Path, text: str, value: bool) -> None:
    assert load(write(f"a: {{cpus: 1, ram: 1, default: {text}}}"))[0].default is value


def test_names_are_taken_as_they_are_written(here: Path) -> None:
    assert [
        q.name for q in load(write("1: {cpus: 1, ram: 1}\nyes: {cpus: 1, ram: 1}\n1.0: {cpus: 1, ram: 1}"))
    ] == [
        "1",
        "yes",
        "1.0",
    ]


def test_a_queue_may_be_smaller_in_one_way_and_larger_in_another(here: Path) -> None:
    assert len(load(write("fat: {cpus: 1, ram: 65536}\nfast: {cpus: 64, ram: 1024}\n"))) == 2


def test_windows_line_ends_and_a_byte_order_mark(here: Path) -> None:
    assert load(write(b"\xef\xbb\xbfa: {cpus: 1, ram: 1}\r\nb: {cpus: 2, ram: 2}\r\n"))[1].name == "b"
    with pytest.raises(QueueFileError) as caught:
        load(write(b"a: {cpus: 1, ram: 1}\r\nb: {cpus: -2, ram: 2}\r\n"))
    assert caught.value.where == "queues.yaml:2"


# --- bad files -----------------------------------------------------------------------------------

# (what, text, line, words that the message or the hint must have)
BAD: list[tuple[str, str | bytes, int, list[str]]] = [
    ("empty", "", 1, ["empty"]),
    ("only comments", "# nothing\n\n# here\n", 1, ["empty"]),
    ("a bare document", "---\n", 1, ["empty"]),
    ("null", "null\n", 1, ["empty"]),
    ("no queue", "# none yet\n{}\n", 2, ["no queue"]),
    ("a list", "\n- advanced\n- default\n", 2, ["mapping", "a list"]),
    ("a text", "advanced\n", 1, ["mapping", "the text 'advanced'"]),
    ("a number", "7\n", 1, ["mapping", "found 7"]),
    # YAML itself
    ("unclosed brace", "a: {cpus: 1, ram: 1\nb: {cpus: 1, ram: 1}\n", 2, ["YAML", "column 2", "line 1"]),
    ("tab", "a:\n\tcpus: 1\n", 2, ["not valid YAML", "column 1", r"\t"]),
    ("bad indent", "a:\n    cpus: 1\n  ram: 1\n", 3, ["not valid YAML", "column 3"]),
    ("unclosed quote", GOOD + '"a: {cpus: 1, ram: 1}\n', 3, ["not valid YAML", "quoted scalar", "line 2"]),
    ("no space", GOOD + "a: {cpus:1, ram:2}\n", 2, ["unknown key 'cpus:1'", "cpus, ram"]),
    ("two documents", GOOD + "---\n" + GOOD, 2, ["not valid YAML", "document"]),
    ("undefined tag handle", GOOD + "a: !x!y {}\n", 2, ["not valid YAML", "tag"]),
    ("control character", GOOD + "a: {cpus: \x01, ram: 1}\n", 2, ["not valid YAML", "column 11", "U+0001"]),
    ("not UTF-8", GOOD.encode() + b"caf\xe9: {cpus: 1, ram: 1}\n", 2, ["UTF-8"]),
    ("binary", b"\x7fELF\x00\x00", 1, ["not valid YAML", "U+007F"]),
    # aliases and depth
    ("alias", "a: &a {cpus: 1, ram: 1}\nb: *a\n", 2, ["alias *a", "not allowed"]),
    ("undefined alias", GOOD + "b: *nowhere\n", 2, ["alias *nowhere"]),
    ("merge key", "a: &a {cpus: 1, ram: 1}\nb:\n  <<: *a\n", 3, ["alias *a"]),
    ("bomb", "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n", 2, ["alias *a"]),
    ("deep", GOOD + "a: " + "[" * 5000, 2, ["nested too deeply"]),
    ("deep mapping", GOOD + "a: " + "{a: " * 5000, 2, ["nested too deeply"]),
    # names
    ("duplicate queue", "a: {cpus: 1, ram: 1}\n\na: {cpus: 2, ram: 2}\n", 3, ["queue 'a'", "twice", "1"]),
    ("duplicate, quoted", "1: {cpus: 1, ram: 1}\n'1': {cpus: 2, ram: 2}\n", 2, ["queue '1'", "twice"]),
    ("reserved", GOOD + "celeriac: {cpus: 1, ram: 1}\n", 2, ["celeriac is reserved"]),
    ("reserved by the broker", "amq.direct: {cpus: 1, ram: 1}\n", 1, ["amq.direct is reserved"]),
    ("reserved by Celery", "celeryev: {cpus: 1, ram: 1}\n", 1, ["celeryev is reserved"]),
    ("dot first", ".hidden: {cpus: 1, ram: 1}\n", 1, ["queue name '.hidden'", "not allowed"]),
    ("space", "big queue: {cpus: 1, ram: 1}\n", 1, ["queue name 'big queue'", "letters"]),
    ("comma", GOOD + "'a,b': {cpus: 1, ram: 1}\n", 2, ["queue name 'a,b'"]),
    ("slash", "a/b: {cpus: 1, ram: 1}\n", 1, ["queue name 'a/b'"]),
    ("not ASCII", "größe: {cpus: 1, ram: 1}\n", 1, ["queue name 'größe'"]),
    ("digits of another script", "'\u0661': {cpus: 1, ram: 1}\n", 1, ["queue name"]),
    ("line end in a name", '"a\\n": {cpus: 1, ram: 1}\n', 1, [r"queue name 'a\n'"]),
    ("empty name", "'': {cpus: 1, ram: 1}\n", 1, ["queue name ''"]),
    ("long name", "a" * 256 + ": {cpus: 1, ram: 1}\n", 1, ["queue name 'aaa", "255"]),
    ("list as name", GOOD + "? [a, b]\n: {cpus: 1, ram: 1}\n", 2, ["queue must be a name", "a list"]),
    # queues
    ("no limits", GOOD + "a:\n" + GOOD.replace("good", "c"), 2, ["queue a", "mapping", "found nothing"]),
    ("a number as limits", GOOD + "a: 2\n", 2, ["queue a", "mapping", "found 2"]),
    ("a list as limits", "a:\n  - cpus: 1\n  - ram: 1\n", 1, ["queue a", "mapping", "a list"]),
    ("no cpus", GOOD + "a: {ram: 1}\n", 2, ["queue a: cpus is missing"]),
    ("no ram", "a:\n  cpus: 1\n", 1, ["queue a: ram is missing"]),
    ("nothing in it", "a: {}\n", 1, ["queue a: cpus is missing"]),
    ("duplicate key", "a:\n  cpus: 1\n  ram: 1\n  cpus: 2\n", 4, ["queue a: key 'cpus'", "line 2"]),
    ("typo", "a:\n  cpu: 1\n  ram: 1\n", 2, ["unknown key 'cpu'", "Did you mean cpus?"]),
    ("typo in capitals", "a:\n  cpus: 1\n  RAM: 1\n", 3, ["unknown key 'RAM'", "Did you mean ram?"]),
    ("typo, optional", "a: {cpus: 1, ram: 1,\n maxruntime: 1}\n", 2, ["'maxruntime'", "mean max_runtime?"]),
    ("another word", "a: {cpus: 1, memory: 1}\n", 1, ["'memory'", "Did you mean ram?"]),
    ("CWL's word", "a: {coresMin: 1, ram: 1}\n", 1, ["'coresMin'", "Did you mean cpus?"]),
    ("far from all", "a: {cpus: 1, ram: 1, zzzz: 1}\n", 1, ["unknown key 'zzzz'", "keys are cpus, ram"]),
    ("inline merge", "a: {cpus: 1, ram: 1, <<: {gpus: 1}}\n", 1, ["unknown key '<<'"]),
    ("list as key", "a: {[x]: 1}\n", 1, ["queue a: key must be a name", "a list"]),
    ("two defaults", "a: {cpus: 1, ram: 1, default: true}\nb:\n  cpus: 1\n  default: true\n  ram: 1\n", 4,
     ["queue b", "second default", "the first is a"]),
    # numbers
    ("negative cpus", "a:\n  cpus: -1\n  ram: 1\n", 2, ["queue a: cpus", "greater than 0", "found -1"]),
    ("zero cpus", "a: {cpus: 0, ram: 1}\n", 1, ["cpus", "greater than 0", "found 0"]),
    ("zero ram", "a:\n  cpus: 1\n  ram: 0\n", 3, ["queue a: ram", "greater than 0", "found 0"]),
    ("negative ram", "a: {cpus: 1, ram: -2048}\n", 1, ["ram", "greater than 0", "-2048"]),
    ("half a MiB", "a: {cpus: 1, ram: 0.5}\n", 1, ["ram", "whole number", "0.5", "MiB"]),
    ("quoted cpus", "a: {cpus: '2', ram: 1}\n", 1, ["cpus must be a number", "the text '2'"]),
    ("quoted ram", 'a:\n  cpus: 1\n  ram: "2048"\n', 3, ["ram must be a number", "the text '2048'"]),
    ("unit", "a: {cpus: 1, ram: 2GB}\n", 1, ["ram must be a number", "the text '2GB'", "without a unit"]),
    ("true as cpus", "a: {cpus: true, ram: 1}\n", 1, ["cpus must be a number", "the boolean true"]),
    ("yes as ram", "a: {cpus: 1, ram: yes}\n", 1, ["ram must be a number", "the boolean yes"]),
    ("nan", "a: {cpus: .nan, ram: 1}\n", 1, ["cpus must be a finite number", ".nan"]),
    ("inf", "a: {cpus: 1, ram: .inf}\n", 1, ["ram must be a finite number", ".inf"]),
    ("minus inf", "a: {cpus: -.INF, ram: 1}\n", 1, ["cpus must be a finite number", "-.INF"]),
    ("too large for a float", "a: {cpus: 1.0e+999, ram: 1}\n", 1, ["cpus must be a finite number"]),
    ("five thousand digits", "a: {cpus: 1, ram: " + "9" * 5000 + "}\n", 1, ["ram must be a finite number"]),
    ("octal", "a: {cpus: 010, ram: 1}\n", 1, ["cpus must be a number", "010"]),
    ("hexadecimal", "a: {cpus: 1, ram: 0x800}\n", 1, ["ram must be a number", "0x800"]),
    ("sexagesimal", "a: {cpus: 1, ram: 1, max_runtime: 1:30}\n", 1, ["max_runtime", "1:30", "seconds"]),
    ("date", "a: {cpus: 2001-01-01, ram: 1}\n", 1, ["cpus must be a number", "2001-01-01"]),
    ("null", "a:\n  cpus: 1\n  ram:\n", 3, ["ram must be a number", "found nothing"]),
    ("list", "a: {cpus: [1], ram: 1}\n", 1, ["cpus must be a number", "a list"]),
    ("mapping", "a: {cpus: 1, ram: {min: 1}}\n", 1, ["ram must be a number", "a mapping"]),
    ("python tag", "a: {cpus: !!python/object/apply:os.getpid [], ram: 1}\n", 1, ["cpus must be", "a list"]),
    ("block text", "a:\n  ram: 1\n  cpus: |\n    2\n", 3, ["cpus must be a number", r"'2\n'"]),
    ("half a GPU", "a: {cpus: 1, ram: 1, gpus: 0.5}\n", 1, ["gpus", "whole number"]),
    ("negative gpus", "a: {cpus: 1, ram: 1, gpus: -1}\n", 1, ["gpus", "0 or more", "-1"]),
    ("priority ten", "a: {cpus: 1, ram: 1, priority: 10}\n", 1, ["priority", "from 0 to 9", "found 10"]),
    ("priority high", "a: {cpus: 1, ram: 1, priority: high}\n", 1, ["priority", "'high'", "0 to 9"]),
    ("no runtime", "a: {cpus: 1, ram: 1, max_runtime: 0}\n", 1, ["max_runtime", "greater than 0"]),
    ("default 1", "a: {cpus: 1, ram: 1, default: 1}\n", 1, ["default must be true or false", "found 1"]),
    ("default of a forced type", "a: {cpus: 1, ram: 1, default: !!bool maybe}\n", 1, ["true or false"]),
    ("default quoted", "a: {cpus: 1, ram: 1, default: 'true'}\n", 1, ["true or false", "the text 'true'"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "words"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_a_bad_file_is_refused_at_its_line(
    here: Path, text: str | bytes, line: int, words: list[str]
) -> None:
    with pytest.raises(QueueFileError) as caught:
        load(write(text))
    error = caught.value
    assert error.where == f"queues.yaml:{line}"
    assert error.fields["line"] == line
    for word in words:
        assert word in str(error)
    # One message: it stays readable however large the nonsense was.
    assert len(error.message) < 300
    assert "\n" not in error.message


def test_the_first_mistake_in_the_file_is_the_one_that_is_told(here: Path) -> None:
    with pytest.raises(QueueFileError) as caught:
        load(write("a:\n  ram: x\n  cpus: y\nb: 1\n"))
    assert caught.value.where == "queues.yaml:2"


def test_the_whole_text_of_an_error(here: Path) -> None:
    with pytest.raises(QueueFileError) as caught:
        load(write("advanced: {cpus: 2, ram: 2048}\ndefault:\n  cpus: 1\n  rma: 1024\n"))
    assert str(caught.value) == (
        "queues.yaml:4: queue default: unknown key 'rma'\n"
        "  Did you mean ram? The keys are cpus, ram, gpus, priority, max_runtime, default."
    )


# --- files that can't be read --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nowhere.yaml", "does not exist"),
        ("broken-link", "does not exist"),
        ("folder", "not a regular file"),
        ("pipe", "not a regular file"),
        ("file/below", "can't be read: Not a directory"),
        ("loop", "can't be read: Too many levels of symbolic links"),
        ("n\0ul", "can't be read"),
        ("large.yaml", "larger than 1 MiB"),
    ],
)
def test_a_file_that_is_not_readable(here: Path, path: str, words: str) -> None:
    Path("folder").mkdir()
    Path("file").touch()
    os.mkfifo("pipe")
    Path("broken-link").symlink_to("gone")
    Path("loop").symlink_to("loop")
    Path("large.yaml").write_bytes(b"#" * MAX_BYTES + b"\n")
    with pytest.raises(QueueFileError) as caught:
        load(path)
    assert caught.value.where == path
    assert words in caught.value.message
    assert caught.value.hint


def test_a_file_of_exactly_the_largest_size(here: Path) -> None:
    padding = MAX_BYTES - len(GOOD)
    assert len(load(write(GOOD + "#" * padding))) == 1


def test_a_file_without_permission(here: Path) -> None:
    path = write(GOOD)
    path.chmod(0)
    if not os.access(path, os.R_OK):
        with pytest.raises(QueueFileError, match="can't be read: Permission denied"):
            load(path)
        return
    # Root may read everything: ask in a process that is nobody.
    here.chmod(0o755)
    code = (
        "import os; from queues.file import load; from celeriac.errors import QueueFileError\n"
        "os.setuid(65534)\n"
        "try: load('queues.yaml')\n"
        "except QueueFileError as error: print(error.message)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert "can't be read: Permission denied" in done.stdout, done.stderr


# --- anything ------------------------------------------------------------------------------------


@given(st.binary(max_size=200))
def test_any_bytes_are_queues_or_a_clear_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(data)
    try:
        assert load(path)
    except QueueFileError as error:
        assert re.fullmatch(r".*any\.yaml:[1-9][0-9]*", error.where)


yaml_like = st.text("ab:{}[]&*!|>-?#'\",.%@ \n\t01<~\\", max_size=60)


@given(yaml_like)
def test_any_yaml_like_text_is_composed_or_refused(text: str) -> None:
    try:
        compose(text)
    except Refused as refused:
        assert 1 <= refused.line <= text.count("\n") + 2


@given(
    st.dictionaries(
        st.from_regex(r"q[A-Za-z0-9_.-]{0,10}", fullmatch=True),
        st.fixed_dictionaries(
            {
                "cpus": st.floats(0.01, 1e6, allow_subnormal=False),
                "ram": st.integers(1, 10**40),
            },
            optional={
                "gpus": st.integers(0, 100),
                "priority": st.integers(0, 9),
                "max_runtime": st.floats(0.01, 1e9),
            },
        ),
        min_size=1,
        max_size=5,
    )
)
def test_what_was_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, wanted: dict[str, dict[str, float]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "written.yaml"
    lines = [
        f"{name}: {{{', '.join(f'{k}: {v}' for k, v in keys.items())}}}" for name, keys in wanted.items()
    ]
    path.write_text("\n".join(lines))
    assert load(path) == tuple(QueueLimits(name, **keys) for name, keys in wanted.items())  # type: ignore[arg-type]


def test_every_field_of_a_queue_is_a_key_of_the_file() -> None:
    fields = set(QueueLimits.__dataclass_fields__)
    assert fields == {"name", *KEYS}
