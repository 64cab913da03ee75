"""The slots of a host, whatever several processes do: never more than there is."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from celeriac.resources import Resources
from celeriac.slots import Slot
from queues.budget import fits
from queues.ledger import overview
from queues.slots import HostSlots
from tests.unit.slots.harness import (
    BUDGET,
    die,
    some,
)

# --- whatever happens ----------------------------------------------------------------------------

PROCESSES = 3
NAMES = st.sampled_from("abcd")
WANTED = st.builds(
    Resources, cpus=st.sampled_from([0.1, 0.5, 1.0, 2.5, 4.0]), ram=st.integers(1, 40), gpus=st.integers(0, 2)
)
WHO = st.integers(0, PROCESSES - 1)


class SlotsMachine(RuleBasedStateMachine):
    """Several processes take, give back, close, fork and die; what they hold is known here."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(mkdtemp()) / "slots"
        self.clearable = True
        self.slots = [
            HostSlots(self.directory, BUDGET, worker=f"w{n}", clear=lambda name: self.clearable, lease=1e9)
            for n in range(PROCESSES)
        ]
        self.held: list[dict[str, tuple[Resources, Slot]]] = [{} for _ in range(PROCESSES)]
        self.lives = [0] * PROCESSES  # a process that comes after one that died runs other attempts
        self.dead: list[tuple[Resources, Slot]] = []  # what is still counted, though its process has died

    def taken(self) -> list[tuple[Resources, tuple[str, ...]]]:
        both = [*self.dead, *(pair for held in self.held for pair in held.values())]
        return [(wanted, slot.gpus) for wanted, slot in both]

    def named(self, who: int, name: str) -> str:
        return f"{who}.{self.lives[who]}.{name}"

    @rule(who=WHO, name=NAMES, wanted=WANTED)
    def take(self, who: int, name: str, wanted: Resources) -> None:
        name = self.named(who, name)
        known = self.held[who].get(name)
        fitted = fits(BUDGET, self.taken(), wanted) is not None
        slot = self.slots[who].take(name, wanted, some(2))
        if known is not None:
            assert slot == known[1]
            return
        if not fitted and self.clearable:
            self.dead.clear()
        if slot is None:
            assert fits(BUDGET, self.taken(), wanted) is None
        else:
            assert fits(BUDGET, self.taken(), wanted) is not None
            self.held[who][name] = (wanted, slot)

    @rule(who=WHO, name=NAMES)
    def give_back(self, who: int, name: str) -> None:
        self.slots[who].give_back(self.named(who, name))
        self.held[who].pop(self.named(who, name), None)

    @rule(who=WHO)
    def close(self, who: int) -> None:
        self.slots[who].close()
        self.held[who].clear()

    @rule(who=WHO)
    def die(self, who: int) -> None:
        die(self.slots[who])
        self.lives[who] += 1
        self.dead += self.held[who].values()
        self.held[who].clear()

    @rule(who=WHO)
    def fork(self, who: int) -> None:
        self.slots[who].before_fork()
        self.slots[who].in_parent()

    @precondition(lambda self: not self.dead)
    @rule(clearable=st.booleans())
    def let_clear(self, clearable: bool) -> None:
        self.clearable = clearable

    @invariant()
    def never_more_than_there_is(self) -> None:
        taken = self.taken()
        assert sum(wanted.cpus for wanted, _ in taken) <= BUDGET.cpus + 1e-6
        assert sum(wanted.ram for wanted, _ in taken) <= BUDGET.ram
        leased = [gpu for _, ids in taken for gpu in ids]
        assert len(leased) == len(set(leased))

    @invariant()
    def the_ledger_says_so(self) -> None:
        written = [(line.resources, line.gpus) for line in overview(self.directory)]
        assert sorted(map(repr, written)) == sorted(map(repr, self.taken()))

    def teardown(self) -> None:
        for slots in self.slots:
            slots.close()
        shutil.rmtree(self.directory.parent)


def test_whatever_happens(eager: None) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        SlotsMachine, settings=settings(max_examples=60, stateful_step_count=25, deadline=None)
    )
