"""The repayment schedule of a loan: an annuity, repaid in equal monthly instalments."""

import calendar
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext

from services.lake.domain.money import rounded

MONTHS_OF_A_YEAR = 12


@dataclass(frozen=True, slots=True)
class Instalment:
    """What is due on one day; principal and interest in the loan's currency."""

    number: int
    due_on: date
    principal: Decimal
    interest: Decimal


def annuity(principal: Decimal, yearly_rate: Decimal, months: int, currency: str) -> Decimal:
    """The equal monthly instalment, rounded to the currency's minor unit.

    A = P · i / (1 - (1 + i)^-n) with i the monthly rate, a twelfth of the yearly nominal one, and n the number of
    months; P / n without interest. (The present value of an ordinary annuity, solved for its payment; e.g. Brealey,
    Myers and Allen, Principles of Corporate Finance, chapter 2.)

    Args:
        principal: above 0.
        yearly_rate: nominal, as a fraction (0.089 is 8.9 %), 0 or above.
        months: 1 or more.
        currency: ISO 4217 code of the principal.

    Raises:
        NoSuchCurrency: money cannot be in `currency`.
    """
    with localcontext() as context:
        context.prec = 50
        if yearly_rate == 0:
            exact = principal / months
        else:
            monthly = yearly_rate / MONTHS_OF_A_YEAR
            exact = principal * monthly / (1 - (1 + monthly) ** -months)
        return rounded(exact, currency)


def schedule(
    principal: Decimal, yearly_rate: Decimal, months: int, value_date: date, currency: str
) -> list[Instalment]:
    """The instalments of a loan, the first one month after `value_date`.

    Interest of a month is a twelfth of the yearly rate on what is still owed, rounded to the currency's minor unit.
    Because of rounding, the last instalment differs from the others: it repays exactly the rest. Arguments and errors
    as of `annuity`.
    """
    payment = annuity(principal, yearly_rate, months, currency)
    owed = principal
    instalments = []
    for number in range(1, months + 1):
        interest = rounded(owed * yearly_rate / MONTHS_OF_A_YEAR, currency)
        # Never more than the outstanding principal: rounding up would otherwise repay a tiny loan before its end.
        repaid = owed if number == months else min(payment - interest, owed)
        owed -= repaid
        instalments.append(Instalment(number, months_later(value_date, number), repaid, interest))
    return instalments


def months_later(day: date, months: int) -> date:
    """The same day of a later month, or that month's last day when it is shorter (31 January → 28 February)."""
    years, month = divmod(day.month - 1 + months, MONTHS_OF_A_YEAR)
    year = day.year + years
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
