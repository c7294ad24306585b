"""Reads a whole history: checks every row alone and with its parents, and keeps valid rows for the writer."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from services.cli.history.entities import BY_NAME
from services.cli.history.files import read, values_of
from services.cli.history.loans import OVERPAYMENT_TOLERANCE, Loan
from services.cli.history.report import Report
from services.cli.history.rules import (
    Application,
    Line,
    Values,
    application_faults,
    loan_faults,
    row_faults,
)

Progress = Callable[[str], None]
"""Called with an entity's name for every row of it."""
DEPENDENT = ("participants", "versions", "events", "decisions")
"""Files whose rows are parts of an application: it is imported with all its parts or not at all."""


class Known:
    """The lake's existing rows, by the bank's own numbers."""

    def __init__(
        self,
        parties: set[str] | None = None,
        applications: set[str] | None = None,
        loans: Mapping[str, Loan] | None = None,
        products: Mapping[str, str] | None = None,
    ) -> None:
        """`loans` with what is recorded under them; `products` with their currencies."""
        self.parties = parties or set()
        self.applications = applications or set()
        self.loans = dict(loans or {})
        self.products = dict(products or {})


class History:
    """The checked files of a folder: loans and their parents in memory, rows below loans read on demand."""

    def __init__(
        self,
        files: Mapping[str, Path],
        known: Known,
        report: Report,
        progress: Progress,
        *,
        tolerance: Decimal = OVERPAYMENT_TOLERANCE,
    ) -> None:
        """`progress` is called for each row that is read; `tolerance` as of `Loan`."""
        self._tolerance = tolerance
        self._files = files
        self._known = known
        self._report = report
        self._progress = progress
        self._refused: dict[str, dict[str, int]] = {}
        """Of each entity the keys of the rows that were refused, with their lines."""
        self.parties: dict[str, Line] = {}
        self.products: dict[str, Line] = {}
        self.parameters: dict[str, Line] = {}
        self.applications: dict[str, Application] = {}
        self.loans: dict[str, Line] = {}
        self._states: dict[str, Loan] = {}

    def check(self) -> None:
        """Read and check everything down to the loans.

        Raises:
            FilesUnusable: a file as a whole cannot be read.
        """
        for line in self._rows("parties"):
            self._keep("parties", line, self.parties, line.values["external_ref"])
        for line in self._rows("products"):
            self._keep("products", line, self.products, line.values["code"])
        for line in self._rows("product_parameters"):
            if not self._lacks_parent(
                "product_parameters", line, "product_code", "products", self._has_product
            ):
                key = "{product_code} {valid_from}".format_map(line.values)
                self._keep("product_parameters", line, self.parameters, key)
        for line in self._rows("applications"):
            if not self._lacks_parent("applications", line, "borrower_ref", "parties", self._has_party):
                self._keep_application(line)
        for entity in DEPENDENT:
            for line in self._rows(entity):
                self._keep_part(entity, line)
        for one in self.applications.values():
            self._judge(one)
        for line in self._rows("loans"):
            self._keep_loan(line)
        self._count_unknown()

    def instalments(self) -> Iterator[Line]:
        """Read and check the instalments, in the order of their file."""
        yield from self._under_loans("instalments", Loan.instalment_faults)

    def transactions(self) -> Iterator[Line]:
        """Read and check the transactions, in the order of their file."""
        for line in self._under_loans("transactions", Loan.transaction_faults):
            if line.values["effective_on"] is None:
                self._report.unknown["disbursement dates"] += 1
            yield line

    def classifications(self) -> Iterator[Line]:
        """Read and check what loans were classified as before, in the order of the file."""
        yield from self._under_loans("classifications", Loan.classification_faults)

    def sound(self) -> Iterator[Application]:
        """The applications that are to be written."""
        return (one for one in self.applications.values() if not one.row.refused)

    def _rows(self, entity: str) -> Iterator[Line]:
        """Rows that are sound by themselves; the others are reported."""
        path = self._files.get(entity)
        if path is None:
            return
        declared = BY_NAME[entity]
        for line, row in read(declared, path):
            self._progress(entity)
            self._report.read[entity] += 1
            if row is None:
                self._refuse(entity, Line(line, {}), ("", "is no row of this file's format"))
                continue
            values, faults = values_of(declared, row)
            if not faults:
                faults = list(row_faults(entity, values))
            found = Line(line, values)
            if faults:
                self._refuse(entity, found, *faults)
                if entity in DEPENDENT:
                    self._break(entity, found)
                continue
            yield found

    def _refuse(self, entity: str, line: Line, *faults: tuple[str, str]) -> None:
        line.refused = True
        self._report.refuse(entity, line.line, *faults)
        key = line.values.get("external_ref") or line.values.get("code")
        if isinstance(key, str):
            self._refused.setdefault(entity, {}).setdefault(key, line.line)

    def _break(self, entity: str, line: Line) -> None:
        one = self.applications.get(line.values.get("application_ref") or "")
        if one is not None and not one.broken:
            one.broken = f"a row of it was refused: line {line.line} of {entity}"

    def _keep(self, entity: str, line: Line, kept: dict[str, Line], key: str) -> bool:
        if key in kept or key in self._refused.get(entity, {}):
            self._report.refuse(entity, line.line, ("", "its key was there before in this file"))
            line.refused = True
            return False
        kept[key] = line
        return True

    def _has_product(self, code: str) -> bool:
        return code in self.products or code in self._known.products

    def _has_party(self, ref: str) -> bool:
        return ref in self.parties or ref in self._known.parties

    def _lacks_parent(
        self, entity: str, line: Line, column: str, parent: str, has: Callable[[str], bool]
    ) -> bool:
        """Refuse a row whose parent was refused or is nowhere."""
        ref = line.values[column]
        if has(ref):
            return False
        refused = self._refused.get(parent, {}).get(ref)
        what = parent.removesuffix("ies") + "y" if parent == "parties" else parent.removesuffix("s")
        reason = (
            f"its parent, the {what} in line {refused} of {parent}, was refused"
            if refused is not None
            else f"its parent, the {what}, is not in the files"
            if parent == "applications"
            else f"its parent, the {what}, is neither in the files nor in the lake"
        )
        self._refuse(entity, line, (column, reason))
        if entity in DEPENDENT:
            self._break(entity, line)
        return True

    def _keep_application(self, line: Line) -> None:
        ref = line.values["external_ref"]
        if ref in self.applications:
            self._report.refuse("applications", line.line, ("", "its key was there before in this file"))
            return
        self.applications[ref] = Application(line)

    def _keep_part(self, entity: str, line: Line) -> None:
        if self._lacks_parent(
            entity, line, "application_ref", "applications", lambda ref: ref in self.applications
        ):
            return
        one = self.applications[line.values["application_ref"]]
        if entity == "participants" and self._lacks_parent(
            entity, line, "party_ref", "parties", self._has_party
        ):
            return
        if fault := self._part_fault(entity, one, line.values):
            self._refuse(entity, line, fault)
            self._break(entity, line)
            return
        number = line.values.get("version") or 1
        match entity:
            case "participants":
                one.participants.append(line)
            case "versions":
                one.versions[number] = line
            case "events":
                one.events.append(line)
            case _:
                one.decisions[number, line.values["stage"]] = line

    def _part_fault(self, entity: str, one: Application, values: Values) -> tuple[str, str] | None:
        """Say what keeps a row from being a part of its application."""
        number = values.get("version") or 1
        match entity:
            case "participants":
                taken = {one.row.values["borrower_ref"], *(p.values["party_ref"] for p in one.participants)}
                return (
                    ("party_ref", "this party takes part already") if values["party_ref"] in taken else None
                )
            case "versions" if number in one.versions:
                return "version", "this version was there before"
            case "versions":
                return self._product_fault(values)
            case "decisions" if (number, values["stage"]) in one.decisions:
                return "stage", "this stage has decided on this version before"
        return None

    def _product_fault(self, values: Values) -> tuple[str, str] | None:
        product = values["product_code"]
        added = self.products.get(product)
        currency = self._known.products.get(product) or (added and added.values["currency"])
        if currency is None:
            return "product_code", "is no product of the files or the lake"
        return None if currency == values["currency"] else ("currency", "is not the currency of the product")

    def _judge(self, one: Application) -> None:
        """Check an application with its parts; refuse all of it when one of them is at fault."""
        one.events.sort(key=lambda event: event.values["occurred_at"])
        parts = {
            id(part): entity
            for entity, lines in (
                ("participants", one.participants),
                ("versions", one.versions.values()),
                ("events", one.events),
                ("decisions", one.decisions.values()),
            )
            for part in lines
        }
        if not one.broken:
            for part, fault in application_faults(one):
                entity = parts.get(id(part), "applications")
                self._refuse(entity, part, fault)
                if part is not one.row:
                    one.broken = one.broken or f"a row of it was refused: line {part.line} of {entity}"
        if one.broken and not one.row.refused:
            self._refuse("applications", one.row, ("", one.broken))
        if not one.row.refused:
            return
        reason = f"its parent, the application in line {one.row.line} of applications, was refused"
        for lines in (one.participants, one.versions.values(), one.events, one.decisions.values()):
            for part in lines:
                if not part.refused:
                    self._refuse(parts[id(part)], part, ("application_ref", reason))

    def _keep_loan(self, line: Line) -> None:
        ref, application = line.values["external_ref"], line.values["application_ref"]
        one = self.applications.get(application)
        if self._lacks_parent(
            "loans",
            line,
            "application_ref",
            "applications",
            lambda _: one is not None and not one.row.refused,
        ):
            return
        if one is None:
            return
        faults = list(loan_faults(one, line.values, line.values["version"] or max(one.versions, default=1)))
        if one.loan is not None:
            faults.append(("application_ref", "the application has another loan"))
        if faults:
            self._refuse("loans", line, *faults)
        elif self._keep("loans", line, self.loans, ref):
            one.loan = line
            self._states[ref] = Loan.of(line.values, self._tolerance)

    def _under_loans(
        self, entity: str, check: Callable[[Loan, Any], Iterator[tuple[str, str]]]
    ) -> Iterator[Line]:
        for line in self._rows(entity):
            if self._lacks_parent(
                entity, line, "loan_ref", "loans", lambda ref: ref in self._states or ref in self._known.loans
            ):
                continue
            ref = line.values["loan_ref"]
            loan = self._states.get(ref) or self._known.loans[ref]
            if faults := list(check(loan, line.values)):
                self._refuse(entity, line, *faults)
            else:
                yield line

    def _count_unknown(self) -> None:
        for one in self.sound():
            self._report.unknown["scores"] += sum(v.values["score"] is None for v in one.versions.values())
            self._report.unknown["deciders"] += sum(
                d.values["decided_by"] is None for d in one.decisions.values()
            )
