#!/usr/bin/env python3
"""Judge the workflow's variants by those of expected.py: check.py DATA OUTPUTS.

The same change can be written in more than one way, so haplotypes are compared and not records: the
variants of both sides that lie close together make a place, and a place agrees if the expected and
the called variants turn its stretch of reference into the same sequence.

Exits 0 if everything holds, 1 with a list of what does not.
"""

import gzip
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from expected import Variant, Walk, read_reference, weigh
from prepare import AMPLIFIED, SAMPLES

LEAST = 50  # fewer expected variants than this mean that the reads were not read
NEAR = 5  # bases between two variants that are judged as one place
MERGED = 0.95  # least share of the expected places that the merged VCF has right
SINGLE = 0.75  # the same for each sample alone, which sees a third of the reads
DUPLICATES = 0.9  # least share of the planted copies that were marked; not every copy can be aligned


def called(path: Path) -> tuple[list[str], list[tuple[Variant, list[bool]]]]:
    """The samples of a VCF, and its variants with who has them."""
    names: list[str] = []
    rows = []
    with gzip.open(path, "rt") as lines:
        for line in lines:
            fields = line.rstrip("\n").split("\t")
            if line.startswith("#CHROM"):
                names = fields[9:]
            elif not line.startswith("#"):
                for number, alternative in enumerate(fields[4].split(","), start=1):
                    carriers = [field.split(":")[0] == str(number) for field in fields[9:]]
                    rows.append((Variant(int(fields[1]), fields[3], alternative), carriers))
    return names, rows


def places(variants: Iterable[Variant]) -> Iterator[tuple[int, int]]:
    """The stretches (1-based, end included) of variants that lie close together."""
    start = end = 0
    for variant in sorted(variants):
        if start and variant.position <= end + NEAR:
            end = max(end, variant.position + len(variant.reference) - 1)
            continue
        if start:
            yield start, end
        start, end = variant.position, variant.position + len(variant.reference) - 1
    if start:
        yield start, end


def haplotype(reference: str, start: int, end: int, variants: list[Variant]) -> str:
    """The stretch as the variants make it, or "?" if two of them replace the same base."""
    parts, at = [], start
    for variant in sorted(variants):
        if start <= variant.position <= end:
            if variant.position < at:
                return "?"
            parts += [reference[at - 1 : variant.position - 1], variant.alternative]
            at = variant.position + len(variant.reference)
    return "".join([*parts, reference[at - 1 : end]])


class Verdict:
    """How the called variants compare with the expected ones."""

    def __init__(self, reference: str, expected: list[Variant], calls: list[Variant]) -> None:
        self.right = 0
        self.missed: list[str] = []
        self.wrong: list[str] = []
        for start, end in places({*expected, *calls}):
            stretch = reference[start - 1 : end]
            truth = haplotype(reference, start, end, expected)
            result = haplotype(reference, start, end, calls)
            if result == truth:
                self.right += 1
            elif result == stretch:
                self.missed.append(f"{start} {stretch}>{truth}")
            else:
                self.wrong.append(f"{start} {stretch}>{result}, expected {truth}")

    @property
    def share(self) -> float:
        """The share of the expected places that were called rightly."""
        return self.right / (self.right + len(self.missed) + len(self.wrong))

    def __str__(self) -> str:
        return f"{self.right} right, {len(self.missed)} missed, {len(self.wrong)} wrong"


def variant_faults(data: Path, outputs: Path) -> Iterator[str]:
    """What is wrong with the merged VCF."""
    reference = read_reference(data / "lambda.fa")
    weights = weigh(sorted(data.glob("lambda-?_?.fq")))
    expected, unresolved = Walk(reference, weights).variants()
    names, rows = called(outputs / "variants.vcf.gz")
    print(f"expected: {len(expected)} variants; not judged: {unresolved or 'nothing'}")

    if len(expected) < LEAST:
        yield f"only {len(expected)} variants were expected from the reads, at least {LEAST} are due"
        return
    if names != list(SAMPLES):
        yield f"the VCF's samples are {names}, expected {list(SAMPLES)}"
    everyone = Verdict(reference, expected, [variant for variant, _ in rows])
    print(f"merged: {everyone}")
    for missed in everyone.missed:
        print(f"  missed: {missed}")
    yield from (f"wrongly called: {wrong}" for wrong in everyone.wrong)
    if everyone.share < MERGED:
        yield f"the merged VCF has {everyone.share:.0%} of the expected places, at least {MERGED:.0%} is due"
    for column, name in enumerate(names):
        verdict = Verdict(reference, expected, [variant for variant, carriers in rows if carriers[column]])
        print(f"{name}: {verdict}")
        if verdict.share < SINGLE:
            yield f"{name} has {verdict.share:.0%} of the expected places, at least {SINGLE:.0%} is due"


def duplicate_faults(data: Path, outputs: Path) -> Iterator[str]:
    """What is wrong with the marked duplicates: many where copies were planted, none elsewhere."""
    summary = json.loads((outputs / "summary.json").read_text())
    for name in SAMPLES:
        planted = (data / f"{name}_1.fq").read_text().count("-copy\n") * 2
        marked = summary["samples"][name]["duplicates"]
        print(f"{name}: {planted} copies planted, {marked} reads marked as duplicates")
        if name == AMPLIFIED and marked < planted * DUPLICATES:
            yield f"{name} has {planted} copies, only {marked} were marked"
        if name != AMPLIFIED and marked:
            yield f"{name} was not to be marked, yet {marked} reads are"


def main(data: Path, outputs: Path) -> int:
    """Print what was compared; 1 if anything is wrong."""
    faults = [*variant_faults(data, outputs), *duplicate_faults(data, outputs)]
    for fault in faults:
        print(f"FAULT: {fault}", file=sys.stderr)
    print("genomics example: " + ("FAILED" if faults else "the workflow and the check agree"))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
