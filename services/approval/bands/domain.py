"""Proposals of approval bands. Plain Python."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.approval.proposals.domain import Proposal
from services.lake.domain.money import amount_fault
from services.lake.domain.roles import CHECKERS


@dataclass(frozen=True, slots=True)
class NewBand:
    """Amounts from `amount_from` up to but not including `amount_below`, and the stages that must approve, in order."""

    name: str
    amount_from: Decimal
    amount_below: Decimal | None
    stages: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class BandProposal(Proposal):
    """All bands of a currency for what is submitted from a day on."""

    currency: str
    bands: tuple[NewBand, ...]


def band_faults(currency: str, bands: Sequence[NewBand], known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Find what is wrong with new bands: pointers below the list, and why.

    They must cover every amount exactly once, so that nothing waits for nobody and nothing for two.

    Args:
        currency: of their amounts.
        bands: by amount, the smallest first.
        known: names that bands have or had; a band never changes, so each has a name of its own.
    """
    expected: Decimal | None = Decimal(0)
    for index, band in enumerate(bands):
        where = f"/{index}"
        if band.name in known or band.name in {one.name for one in bands[:index]}:
            yield f"{where}/name", "is the name of another band, now or earlier; give it a new one"
        if expected is None:
            yield f"{where}/amount_from", "the band before it has no end"
        elif band.amount_from != expected:
            yield f"{where}/amount_from", f"must be {expected.normalize():f}: every amount is in one band"
        for name in ("amount_from", "amount_below"):
            amount = getattr(band, name)
            if amount and (fault := amount_fault(amount, currency)):
                yield f"{where}/{name}", fault
        if band.amount_below is not None and band.amount_below <= band.amount_from:
            yield f"{where}/amount_below", "must be above amount_from"
        if len(set(band.stages)) < len(band.stages):
            yield f"{where}/stages", "every stage needs a different person: name each once"
        if unknown := sorted(set(band.stages) - CHECKERS):
            yield f"{where}/stages", f"{', '.join(unknown)}: no role that decides on applications"
        expected = band.amount_below
    if expected is not None:
        yield f"/{len(bands) - 1}/amount_below", "the last band has no end: leave it out"
