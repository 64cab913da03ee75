"""The variants of the sampled genome, worked out from the reads alone: no aligner, no caller.

Every read is cut into words of WORD bases on both strands, and each word is weighed by the chance
that all its base calls are right (from the qualities). Then the reference is walked word by word.
Where the reads know a better next base than the reference, a best-first search through the words of
the reads looks for the cheapest way back to the reference, a word's price being 1 / its weight. The
detour counts as a variant if it is cheaper than staying on the reference.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

WORD = 17  # 4^17 words against 97,000 places on both strands: a chance hit is rare
SPAN = 50  # bases of reference that one variant may replace; longer ones count as unresolved
UNSEEN = 0.02  # the weight of a word that no read has; keeps prices finite
SUPPORTED = 0.2  # the weight a word needs for a search to start from it
SEARCHED = 3000  # words a search may visit before the place counts as unresolved

COMPLEMENT = str.maketrans("ACGTN", "TGCAN")
RIGHT = [1 - 10 ** (-quality / 10) for quality in range(94)]


class Variant(NamedTuple):
    """A replacement on the reference: 1-based position, bases there, bases in the sample."""

    position: int
    reference: str
    alternative: str


class Detour(NamedTuple):
    """A way through the reads' words that leaves the reference and comes back at word `back`."""

    price: float
    sequence: str
    back: int


def read_reference(path: Path) -> str:
    """The sequence of a FASTA file that holds one."""
    lines = path.read_text().splitlines()
    return "".join(line for line in lines if not line.startswith(">")).upper()


def reads(paths: list[Path]) -> Iterator[tuple[str, list[float]]]:
    """Every read with its chances of being right, base by base, on both strands; no planted copies."""
    for path in paths:
        with path.open() as lines:
            while record := [line.rstrip("\n") for line in islice(lines, 4)]:
                if record[0].endswith("-copy"):
                    continue
                chances = [RIGHT[ord(sign) - 33] for sign in record[3]]
                yield record[1], chances
                yield record[1].translate(COMPLEMENT)[::-1], chances[::-1]


def weigh(paths: list[Path]) -> dict[str, float]:
    """The summed chance of every word in the reads; words that are likely wrong are left out."""
    weights: dict[str, float] = defaultdict(float)
    for sequence, chances in reads(paths):
        for start in range(len(sequence) - WORD + 1):
            word = sequence[start : start + WORD]
            if "N" in word:
                continue
            chance = 1.0
            for value in chances[start : start + WORD]:
                chance *= value
                if chance < 0.01:
                    break
            else:
                weights[word] += chance
    return dict(weights)


class Walk:
    """One pass over a reference with the words of the reads."""

    def __init__(self, reference: str, weights: dict[str, float]) -> None:
        self.reference = reference
        self.weights = weights
        self.words = [reference[at : at + WORD] for at in range(len(reference) - WORD + 1)]
        seen = Counter(self.words)
        self.place = {word: at for at, word in enumerate(self.words) if seen[word] == 1}

    def variants(self) -> tuple[list[Variant], list[int]]:
        """The variants found, and the positions where the reads leave and no way back was found."""
        found: list[Variant] = []
        unresolved: list[int] = []
        at = 0
        while at < len(self.words) - 1:
            step = at + 1
            if self._leaves(at):
                detour = self._detour(at)
                if detour is None:
                    unresolved.append(at + WORD + 1)
                elif detour.price < self._price_of_staying(at, detour.back):
                    found += self._split(self._variant(at, detour))
                    step = detour.back
            at = step
        return found, unresolved

    def _price(self, word: str) -> float:
        return 1 / (self.weights.get(word, 0.0) + UNSEEN)

    def _price_of_staying(self, at: int, back: int) -> float:
        return sum(self._price(word) for word in self.words[at + 1 : back + 1])

    def _leaves(self, at: int) -> bool:
        here, following = self.words[at], self.words[at + 1]
        best = max("ACGT", key=lambda base: self.weights.get(here[1:] + base, 0.0))
        return self.weights.get(here, 0.0) >= SUPPORTED and best != following[-1]

    def _detour(self, at: int) -> Detour | None:
        heap = [(0.0, self.words[at])]
        visited: set[str] = set()
        while heap and len(visited) < SEARCHED:
            price, sequence = heapq.heappop(heap)
            word = sequence[-WORD:]
            if word in visited:
                continue
            visited.add(word)
            back = self.place.get(word, -1)
            if at < back <= at + WORD + SPAN and sequence != self.reference[at : back + WORD]:
                return Detour(price, sequence, back)
            if len(sequence) <= 2 * WORD + SPAN:
                for base in "ACGT":
                    following = word[1:] + base
                    if following in self.weights:
                        heapq.heappush(heap, (price + self._price(following), sequence + base))
        return None

    def _variant(self, at: int, detour: Detour) -> Variant:
        before, after = self.reference[at : detour.back + WORD], detour.sequence
        while min(len(before), len(after)) > 1 and before[-1] == after[-1]:
            before, after = before[:-1], after[:-1]
        while min(len(before), len(after)) > 1 and before[0] == after[0]:
            if len(before) != len(after) and before[1] != after[1]:
                break  # VCF keeps the base before an insertion or deletion
            before, after, at = before[1:], after[1:], at + 1
        return Variant(at + 1, before, after)

    @staticmethod
    def _split(variant: Variant) -> list[Variant]:
        """Substitutions close to each other share a detour, but each is a variant of its own."""
        position, before, after = variant
        if len(before) != len(after):
            return [variant]
        pairs = enumerate(zip(before, after, strict=True), start=position)
        return [Variant(at, old, new) for at, (old, new) in pairs if old != new]
