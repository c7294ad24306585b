"""Currencies of ISO 4217 and their minor units: how many decimals an amount of money can have.

Sources: ISO 4217 List One (active codes, as of 2026-01-01) and List Three (codes that were withdrawn), as published by
the maintenance agency SIX. List Three gives no minor units; those of withdrawn codes are the ones that the standard
gave while they were active, as OpenJDK keeps them in `currency.data`. The sample data is in Deutsche Mark, which was
withdrawn in 2002. Codes without a minor unit (gold, special drawing rights, testing) are no currency of a loan.
"""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

_WHOLE = (
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF "
    # Withdrawn.
    "ADP BEF BYB BYR ESP GRD ITL LUF MGF PTE TPE TRL"
)
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_FOUR = "CLF UYW"
_TWO = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY "
    "COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS "
    "INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR "
    "MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP "
    "STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG "
    # Withdrawn.
    "AFA ALK ANG AOK AON AOR ARA ARP ARY ATS AYM AZM BAD BEC BEL BGJ BGK BGL BGN BOP BRB BRC BRE BRN BRR BUK CHC CSD "
    "CSJ CSK CUC CYP DDM DEM ECS ECV EEK ESA ESB FIM FRF GEK GHC GHP GNE GNS GQE GWE GWP HRD HRK IEP ILP ILR ISJ LAJ "
    "LSM LTL LTT LUC LUL LVL LVR MLF MRO MTL MTP MVQ MXP MZE MZM NIC NLG PEH PEI PES PLZ RHD ROK ROL RUR SDD SDP SIT "
    "SKK SLL SRG STD SUR TJR TMM UAK UGS UGW USS UYN UYP VEB VEF VNC XEU YDD YUD YUM YUN ZAL ZMK ZRN ZRZ ZWC ZWD ZWL "
    "ZWN ZWR"
)

MINOR_UNITS: dict[str, int] = {
    code: decimals
    for decimals, codes in ((0, _WHOLE), (2, _TWO), (3, _THREE), (4, _FOUR))
    for code in codes.split()
}
"""The currencies of amounts of money, and how many decimals each has."""

STORED_DECIMALS = 4
"""Decimals of the columns that hold money: the most that a currency has."""


class NoSuchCurrency(ValueError):
    """This is no currency of ISO 4217 that money can be in."""


def minor_unit(currency: str) -> int:
    """How many decimals an amount in `currency` can have.

    Raises:
        NoSuchCurrency: it is none.
    """
    try:
        return MINOR_UNITS[currency]
    except KeyError:
        raise NoSuchCurrency(f"{currency!r} is no currency of ISO 4217 that money can be in") from None


def smallest(currency: str) -> Decimal:
    """The smallest amount above 0 in `currency`: 0.01 of EUR, 1 of JPY; raises NoSuchCurrency."""
    return Decimal(1).scaleb(-minor_unit(currency))


def rounded(amount: Decimal, currency: str) -> Decimal:
    """`amount` rounded to the minor unit of `currency`, half away from zero; raises NoSuchCurrency."""
    return amount.quantize(smallest(currency), ROUND_HALF_UP)


def shown(amount: Decimal, currency: str) -> str:
    """`amount` for people, with thousands, every decimal that it has, and its currency: `1,169.50 DEM`."""
    decimals = max(MINOR_UNITS.get(currency, STORED_DECIMALS), _decimals(amount))
    return f"{amount:,.{decimals}f} {currency}"


def amount_fault(amount: Decimal, currency: str) -> str | None:
    """Why `amount` is not valid in `currency`, such as too many decimals; None when it is valid."""
    decimals = MINOR_UNITS.get(currency)
    if decimals is None:
        return f"{currency} is no currency of ISO 4217 that money can be in"
    if _decimals(amount) <= decimals:
        return None
    if decimals == 0:
        return f"{currency} has no decimals"
    return f"{currency} has at most {decimals} decimals"


def minor_unit_condition(column: str) -> str:
    """The SQL condition that the amount in `column` has no more decimals than the currency in `currency`.

    The same text on PostgreSQL and SQL Server; NULL amounts meet it, as in any CHECK.
    """
    cases = " ".join(
        f"WHEN currency IN ({_listed(code for code, has in MINOR_UNITS.items() if has == decimals)}) THEN {decimals}"
        for decimals in sorted(set(MINOR_UNITS.values()) - {2})
    )
    return f"{column} = ROUND({column}, CASE {cases} ELSE 2 END)"


def currency_condition() -> str:
    """The SQL condition that `currency` is one of ISO 4217."""
    return f"currency IN ({_listed(sorted(MINOR_UNITS))})"


def _listed(codes: Iterable[str]) -> str:
    return ", ".join(f"'{code}'" for code in codes)


def _decimals(amount: Decimal) -> int:
    exponent = amount.normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else STORED_DECIMALS
