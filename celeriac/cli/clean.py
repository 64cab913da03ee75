"""`celeriac clean`: remove what ended runs left, but nothing that an output or a later reuse points to."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celeriac.cli.look import find, iso, journal, print_json, when
from celeriac.errors import EXIT_FAILED, UsageError, UserError

if TYPE_CHECKING:
    from celeriac.engine.clean import Cleaned, Wanted
    from celeriac.job.removal import Freed
    from celeriac.journal.database import Database

EPILOG = """examples:
  celeriac clean --dry-run
  celeriac clean --older 2d
  celeriac clean 4f2a 81bc
  celeriac clean --forget --older 90d

Work directories, logs and intermediate files of runs that have ended are removed: those of runs named
here at once, of all others when they are old enough. What a run gave as its outputs stays, and so does
what a later run may reuse, unless --forget is given.
"""

#: How old a run has to be that is not named.
OLDER = "14d"
#: Directories of no known run that are named.
NAMED = 5

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("runs", metavar="RUN", nargs="*", help="a run's id, or the beginning of it")
    parser.add_argument(
        "--older", metavar="AGE", type=age, help=f"only runs that ended so long ago: 90m, 12h, {OLDER} (the default)"
    )
    parser.add_argument("--forget", action="store_true", help="remove what later runs could reuse, too")
    parser.add_argument("--cache", action="store_true", help="remove what is kept of documents to load them fast, too")
    parser.add_argument("--dry-run", "-n", action="store_true", help="only say what would be removed")
    parser.add_argument("--json", action="store_true", help="print JSON")


def age(text: str) -> float:
    """Return the seconds that an age such as ``12h`` stands for."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r}: a number and s, m, h, d or w was expected, such as 12h or 14d")
    return float(found[1]) * _UNITS[found[2]]


def main(args: argparse.Namespace, runtime: Any) -> int:
    """Run the command: 1 when a run could not be cleaned that was to be."""
    with journal() as (settings, database):
        ids, code = _named(database, args.runs)
        from celeriac.engine.clean import Wanted, clean, unknown

        older = args.older if args.older is not None or args.runs else age(OLDER)
        wanted = Wanted(older, ids if args.runs else None, forget=args.forget, dry_run=args.dry_run)
        cleaned = [one for one in clean(database, settings.runs, wanted) if _is_told(one, wanted)]
        strange = unknown(database, settings.runs)
    cache = _clear(settings.home / "cache", wanted) if args.cache else None
    if args.json:
        print_json(_data(cleaned, strange, wanted) | ({} if cache is None else {"cache": vars(cache)}))
    else:
        _tell(cleaned, strange, wanted)
        if cache is not None:
            print(f"{size(cache.bytes)} {_verb(wanted)} of what was kept of documents")
    return EXIT_FAILED if code or any(one.problem for one in cleaned) else 0


def _clear(cache: Path, wanted: Wanted) -> Freed:
    """Remove the cache; what others write there meanwhile may stay."""
    from celeriac.job.removal import Freed

    freed = Freed()
    freed.add(str(cache))
    if not wanted.dry_run:
        shutil.rmtree(cache, ignore_errors=True)
    return freed


def _verb(wanted: Wanted) -> str:
    return "would be freed" if wanted.dry_run else "freed"


def _named(database: Database, given: Sequence[str]) -> tuple[list[str], int]:
    """Return the ids of runs that have ended, and 1 if one of them is not there or has not ended."""
    from celeriac.states import RUN_ENDED

    found, code = [], 0
    for name in given:
        try:
            run = find(database, name)
            if run.state not in RUN_ENDED:
                raise UsageError(
                    f"run {run.id} is {run.state}: only what has ended can be cleaned",
                    hint=f"`celeriac cancel {run.id}` ends it",
                )
            found.append(run.id)
        except UserError as error:
            print(f"celeriac: error: {error}", file=sys.stderr)
            code = EXIT_FAILED
    return found, code


def _is_told(one: Cleaned, wanted: Wanted) -> bool:
    return bool(wanted.ids is not None or one.freed.files or one.freed.bytes or one.forgotten or one.problem)


def _data(cleaned: Sequence[Cleaned], strange: Sequence[Path], wanted: Wanted) -> dict[str, Any]:
    return {
        "dry_run": wanted.dry_run,
        "bytes": sum(one.freed.bytes for one in cleaned),
        "files": sum(one.freed.files for one in cleaned),
        "runs": [
            {
                "id": one.run,
                "name": one.name,
                "state": one.state,
                "ended": iso(one.ended),
                "directory": str(one.directory),
                "bytes": one.freed.bytes,
                "files": one.freed.files,
                "stays": one.stays,
                "forgotten": one.forgotten,
                "problem": one.problem,
            }
            for one in cleaned
        ],
        "unknown": [str(path) for path in strange],
    }


def _tell(cleaned: Sequence[Cleaned], strange: Sequence[Path], wanted: Wanted) -> None:
    from celeriac.cli.table import show

    if cleaned:
        heads = ("RUN", "STATE", "ENDED", "FREED", "FILES", "STAYS", "DOCUMENT")
        show(heads, [_row(one) for one in cleaned])
    for one in cleaned:
        if one.problem:
            print(f"celeriac: error: run {one.run} was not cleaned: {one.problem}", file=sys.stderr)
    done = [one for one in cleaned if not one.problem]
    freed = size(sum(one.freed.bytes for one in done))
    print(f"{freed} {_verb(wanted)} in {len(done)} {'run' if len(done) == 1 else 'runs'}")
    if strange:
        more = f" and {len(strange) - NAMED} more" if len(strange) > NAMED else ""
        names = ", ".join(str(path) for path in strange[:NAMED])
        print(f"left alone, since no run of this journal has it: {names}{more}")


def _row(one: Cleaned) -> tuple[str, ...]:
    return (
        one.run,
        one.state,
        when(one.ended),
        size(one.freed.bytes),
        str(one.freed.files),
        str(one.stays or ""),
        one.name,
    )


def size(number: int) -> str:
    """Return an amount of bytes for people."""
    if number < 2**20:
        return f"{number / 2**10:.0f} KiB"
    return f"{number / 2**20:.1f} MiB" if number < 2**30 else f"{number / 2**30:.1f} GiB"
