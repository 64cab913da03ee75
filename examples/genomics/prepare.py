#!/usr/bin/env python3
"""Make the samples of job.yml from the one paired set that Debian's bowtie2-examples ships.

Pairs are dealt round, so every sample sees the whole genome at a third of the depth, and the same
input gives the same files. One sample gets every COPY_EVERY-th of its pairs a second time, as an
amplified library would, so that marking duplicates has something to find.
"""

import gzip
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

SAMPLES = ("lambda-1", "lambda-2", "lambda-3")
AMPLIFIED = "lambda-2"
COPY_EVERY = 33


def records(path: Path) -> Iterator[list[str]]:
    """The FASTQ records of a compressed file, four lines each."""
    with gzip.open(path, "rt") as lines:
        while record := list(islice(lines, 4)):
            yield record


def deal(source: Path, mate: int, folder: Path) -> None:
    """Write one mate's share of every sample. The other mate's file is dealt in the same order."""
    outputs = {name: (folder / f"{name}_{mate}.fq").open("w") for name in SAMPLES}
    for number, record in enumerate(records(source)):
        name = SAMPLES[number % len(SAMPLES)]
        outputs[name].writelines(record)
        if name == AMPLIFIED and (number // len(SAMPLES)) % COPY_EVERY == 0:
            outputs[name].writelines([record[0].rstrip("\n") + "-copy\n", *record[1:]])
    for output in outputs.values():
        output.close()


def main(folder: Path) -> None:
    """Unpack the reference under a short name and deal both mates."""
    with gzip.open(folder / "lambda_virus.fa.gz", "rt") as packed:
        next(packed)
        (folder / "lambda.fa").write_text(">lambda\n" + packed.read())
    for mate in (1, 2):
        deal(folder / f"reads_{mate}.fq.gz", mate, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
