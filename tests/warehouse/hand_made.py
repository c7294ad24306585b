"""The boundary cases of the portfolio, made by hand: loans, decisions, and loans whose history matters."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from tests.warehouse.portfolio import Portfolio, at, identifier


def hand_made() -> Portfolio:
    """The boundary cases of loans (no interest, 12 instalments of 100, unless said otherwise) and of decisions.

    The first are all in DEM, so that their sums can be told; those of `histories` have currencies of their own.
    """
    made = Portfolio()
    # First instalment due AS_OF - 30 and AS_OF - 31, nothing paid: DPD 30 and 31.
    made.loan("dpd 30", date(2026, 7, 16))
    made.loan("dpd 31", date(2026, 7, 15))
    # Due 2026-06-18, -17 and -16: 89, 90 and 91 days before AS_OF. Never paid: a loan without a payment, too.
    made.loan("dpd 89", date(2026, 5, 18))
    made.loan("dpd 90", date(2026, 5, 17))
    made.loan("dpd 91", date(2026, 5, 16))
    # Matured on 2026-07-01 with the last 100 unpaid.
    matured = made.loan("matured unpaid", date(2025, 7, 1))
    for month in range(11):
        made.moved(
            f"matured {month}",
            matured,
            "payment",
            Decimal(100),
            date(2026, 7, 1) - timedelta(days=30 * (11 - month)),
        )
    # 100 paid on time for 2026-08-10, then taken back on 2026-08-20: DPD 36 at AS_OF.
    taken_back = made.loan("reversed payment", date(2026, 7, 10))
    made.moved("taken back", taken_back, "payment", Decimal(100), date(2026, 8, 10))
    made.moved("taken back again", taken_back, "reversal", Decimal(100), date(2026, 8, 20), "taken back")
    # 1,250 paid of 1,200.
    overpaid = made.loan("overpaid", date(2026, 1, 5))
    made.moved("too much", overpaid, "payment", Decimal(1250), date(2026, 3, 5))
    # 150 of 200 due: the second instalment of 2026-09-01 is half paid, DPD 14.
    partial = made.loan("partial", date(2026, 7, 1))
    made.moved("part", partial, "payment", Decimal(150), date(2026, 8, 15))
    # Written off on 2026-08-31 with 1,000 outstanding; 300 recovered afterwards.
    written_off = made.loan("written off", date(2025, 12, 1))
    made.moved("before write-off", written_off, "payment", Decimal(200), date(2026, 2, 1))
    made.moved("write-off", written_off, "write-off", Decimal(1000), date(2026, 8, 31))
    made.moved("recovery", written_off, "recovery", Decimal(300), date(2026, 9, 10))
    # Paid to the day, but restructured; and one in default that pays.
    restructured = made.loan("restructured", date(2026, 7, 15))
    made.moved("restructured pays", restructured, "payment", Decimal(200), date(2026, 8, 15))
    made.classified("restructured", restructured, "restructured", date(2026, 9, 1))
    unlikely = made.loan("unlikely to pay", date(2026, 7, 15))
    made.moved("unlikely pays", unlikely, "payment", Decimal(200), date(2026, 8, 15))
    made.classified("unlikely", unlikely, "default", date(2026, 9, 1))
    # Its disbursement was taken back: no loan after all.
    cancelled = made.loan("cancelled", date(2026, 8, 3))
    made.moved(
        "cancelled again", cancelled, "reversal", Decimal(1200), date(2026, 8, 5), "cancelled disbursement"
    )
    decisions(made)
    histories(made)
    # Behind all others: a party that changes, a document that goes, a participant that goes.
    made.execute(
        "UPDATE credit.party SET phone = '+84 90 000 0000', revision = 2 WHERE id = $1",
        identifier("party dpd 30"),
    )
    made.insert(
        "document",
        id=identifier("document"),
        application_id=identifier("application rejected"),
        kind="payslip",
        file_name="Bảng lương.pdf",
        media_type="application/pdf",
        size_bytes=10,
        sha256=bytes(range(32)),
        object_key="documents/1",
        uploaded_by=identifier("maker"),
        uploaded_at=at(date(2026, 8, 2)),
    )
    made.execute("DELETE FROM credit.document WHERE id = $1", identifier("document"))
    guarantor = made.party("guarantor")
    made.insert(
        "application_party",
        application_id=identifier("application rejected"),
        party_id=guarantor,
        role="guarantor",
    )
    made.execute("DELETE FROM credit.application_party WHERE party_id = $1", guarantor)
    return made


def decisions(made: Portfolio) -> None:
    """Applications without loans: rejected, returned and approved, withdrawn, expired, open, a draft."""
    rejected = made.submitted("rejected", at(date(2026, 8, 1)), score=350)
    made.move(rejected, "SUBMITTED", "REJECTED", at(date(2026, 8, 1), 19))
    # Returned after 2 hours, resubmitted 24 hours later, approved 4 hours after that: 30 hours, 6 without the return.
    returned = made.submitted("returned", at(date(2026, 8, 4)))
    made.move(returned, "SUBMITTED", "RETURNED", at(date(2026, 8, 4), 11))
    made.version(returned, 2, at(date(2026, 8, 5), 11), Decimal(900), 12, 510, "CONSUMER")
    made.move(returned, "RETURNED", "SUBMITTED", at(date(2026, 8, 5), 11), 2)
    made.move(returned, "SUBMITTED", "APPROVED", at(date(2026, 8, 5), 15), 2)
    withdrawn = made.submitted("withdrawn", at(date(2026, 8, 6)))
    made.move(withdrawn, "SUBMITTED", "WITHDRAWN", at(date(2026, 8, 7)))
    expired = made.submitted("expired", at(date(2026, 8, 6)))
    made.move(expired, "SUBMITTED", "EXPIRED", at(date(2026, 9, 6)))
    made.submitted("open", at(date(2026, 9, 10)))
    # Still waits on AS_OF, but not today.
    later = made.submitted("decided later", at(date(2026, 9, 12)))
    made.move(later, "SUBMITTED", "APPROVED", at(date(2026, 9, 16)))
    made.insert(
        "application",
        id=identifier("application draft"),
        state="DRAFT",
        current_version=None,
        revision=1,
        draft='{"amount": "1.0000"}',
        created_by=identifier("maker"),
        created_at=at(date(2026, 9, 14)),
        submitted_at=None,
        decided_at=None,
    )


def histories(made: Portfolio) -> None:
    """Loans of which it matters what happened when; each question has a currency of its own."""
    # SEK: written off in parts round the Februaries of 2024 and 2025.
    february = made.loan("february", date(2024, 1, 10), term=36, currency="SEK")
    for day, amount in ((date(2024, 2, 29), 100), (date(2024, 3, 1), 200), (date(2025, 2, 28), 30)):
        made.moved(f"february {day}", february, "write-off", Decimal(amount), day, currency="SEK")
    # VND: two borrowers whose amounts squared have more than 24 digits.
    for name, principal in (("three quarters", 900_000_000_000_000), ("one quarter", 300_000_000_000_000)):
        made.loan(name, date(2026, 9, 1), principal=Decimal(principal), currency="VND")
    # JPY: 12 % a year; interest of 10.00 and 5.02, principal of 497.51 and 502.49. The first period has 30 days.
    made.loan(
        "interest", date(2026, 8, 31), principal=Decimal(1000), term=2, rate=Decimal("0.12"), currency="JPY"
    )
    due_dates(made)
    bad_days(made)
    outcomes(made)
    scores(made)


def pay(made: Portfolio, name: str, amount: int, *days: date, currency: str) -> None:
    """Pay the same amount of a loan on some days."""
    for day in days:
        made.moved(
            f"{name} {day}", identifier(f"loan {name}"), "payment", Decimal(amount), day, currency=currency
        )


def due_dates(made: Portfolio) -> None:
    """GBP: due on AS_OF and the day before; matured with 50 and 150 not written off; repaid after a part was."""
    made.loan("due today", date(2026, 8, 15), currency="GBP")
    made.loan("due yesterday", date(2026, 8, 14), currency="GBP")
    for left in (50, 150):
        name = f"{left} left"
        loan = made.loan(name, date(2025, 5, 10), currency="GBP")
        made.moved(
            f"{name} write-off", loan, "write-off", Decimal(1200 - left), date(2026, 6, 1), currency="GBP"
        )
    repaid = made.loan("repaid in part", date(2026, 2, 1), currency="GBP")
    made.moved("repaid write-off", repaid, "write-off", Decimal(400), date(2026, 5, 15), currency="GBP")
    pay(made, "repaid in part", 800, date(2026, 6, 1), currency="GBP")


def bad_days(made: Portfolio) -> None:
    """CHF, January and February 2026: more than 90 days past due between two month ends, and written off in part."""
    # Due on 5 February: 90 days past due on 6 May, 91 on the 7th; what is due is paid on the 20th, or on the 7th.
    made.loan("within the month", date(2026, 1, 5), currency="CHF")
    pay(made, "within the month", 400, date(2026, 5, 20), currency="CHF")
    made.loan("ninety days", date(2026, 1, 5), currency="CHF")
    pay(made, "ninety days", 400, date(2026, 5, 7), currency="CHF")
    for name in ("within the month", "ninety days"):
        pay(made, name, 100, *(date(2026, month, 5) for month in range(6, 10)), currency="CHF")
    # Pays on time, but 50 are written off in March.
    in_part = made.loan("in part", date(2026, 1, 20), currency="CHF")
    pay(made, "in part", 100, *(date(2026, month, 20) for month in range(2, 9)), currency="CHF")
    made.moved("50 of it", in_part, "write-off", Decimal(50), date(2026, 3, 31), currency="CHF")
    whole = made.loan("whole", date(2026, 1, 31), currency="CHF")
    made.moved("all of it", whole, "write-off", Decimal(1200), date(2026, 4, 15), currency="CHF")
    # February: six instalments paid ahead, taken back on 1 July, 113 days after the first was due, and paid again.
    made.loan("bounced", date(2026, 2, 10), currency="CHF")
    pay(made, "bounced", 600, date(2026, 3, 10), date(2026, 7, 10), currency="CHF")
    bounced = identifier("loan bounced")
    day = date(2026, 7, 1)
    made.moved("bounced back", bounced, "reversal", Decimal(600), day, "bounced 2026-03-10", currency="CHF")
    pay(made, "bounced", 100, date(2026, 9, 10), currency="CHF")


def outcomes(made: Portfolio) -> None:
    """NOK: loans whose month 12 is over on AS_OF, but one; all pay until their instalment of April 2026."""
    for name, day, score, rest in (
        ("stays good", date(2025, 8, 10), 600, date(2026, 8, 1)),
        # Due on 10 May, paid on 20 August: more than 90 days past due from 9 August, in month 12.
        ("bad in month 12", date(2025, 8, 10), 400, date(2026, 8, 20)),
        # The same days, but disbursed in July: in month 13.
        ("bad in month 13", date(2025, 7, 10), 400, date(2026, 8, 20)),
        # Its month 12 is September 2026, which is not over.
        ("too young", date(2025, 9, 1), 300, date(2026, 9, 10)),
    ):
        made.loan(name, day, score=score, currency="NOK")
        paid = (date(2026, 4, day.day).toordinal() - day.toordinal()) // 30
        pay(made, name, 100 * paid, date(2025, 10, 1), currency="NOK")
        pay(made, name, 1200 - 100 * paid, rest, currency="NOK")


def scores(made: Portfolio) -> None:
    """PLN: 50 applications with scores below the first edge of the frozen bins, one far above the last, one between."""
    for number, score in enumerate((*(-number for number in range(50)), 2_000_000_000, 500)):
        made.submitted(f"score {number}", at(date(2026, 6, 1)), score=score, currency="PLN")
