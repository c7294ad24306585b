"""The reasons of rejections and returns: what each is for, and its labels in English, Vietnamese and Portuguese."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.approval.domain import Outcome, ReasonCode

_REJECT = frozenset({Outcome.REJECT})
_RETURN = frozenset({Outcome.RETURN})
_BOTH = _REJECT | _RETURN


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason, the outcomes that it is for, and its labels by language (ISO 639-1)."""

    code: ReasonCode
    outcomes: frozenset[Outcome]
    labels: Mapping[str, str]


def _reason(code: ReasonCode, outcomes: frozenset[Outcome], en: str, vi: str, pt: str) -> Reason:
    return Reason(code, outcomes, {"en": en, "vi": vi, "pt": pt})


REASONS: Mapping[ReasonCode, Reason] = {
    reason.code: reason
    for reason in (
        _reason(
            ReasonCode.INCOMPLETE_DOCUMENTS,
            _RETURN,
            "Documents are incomplete",
            "Hồ sơ chưa đầy đủ",
            "Documentação incompleta",
        ),
        _reason(
            ReasonCode.DATA_INCONSISTENT,
            _BOTH,
            "Data are inconsistent",
            "Thông tin không thống nhất",
            "Dados inconsistentes",
        ),
        _reason(
            ReasonCode.AMOUNT_OR_TERM,
            _BOTH,
            "Amount or term does not fit",
            "Số tiền hoặc thời hạn vay không phù hợp",
            "Montante ou prazo inadequado",
        ),
        _reason(
            ReasonCode.AFFORDABILITY,
            _REJECT,
            "Instalments are not affordable",
            "Không đủ khả năng trả nợ",
            "Capacidade de pagamento insuficiente",
        ),
        _reason(
            ReasonCode.CREDIT_HISTORY,
            _REJECT,
            "Credit history",
            "Lịch sử tín dụng",
            "Histórico de crédito",
        ),
        _reason(
            ReasonCode.COLLATERAL,
            _BOTH,
            "Collateral is not sufficient",
            "Tài sản bảo đảm không đủ",
            "Garantias insuficientes",
        ),
        _reason(
            ReasonCode.LOW_SCORE,
            _REJECT,
            "Score is too low",
            "Điểm tín dụng thấp",
            "Pontuação de crédito baixa",
        ),
        _reason(
            ReasonCode.POLICY,
            _REJECT,
            "Against the lending policy",
            "Trái với chính sách cho vay",
            "Contrário à política de crédito",
        ),
        _reason(
            ReasonCode.SUSPECTED_FRAUD,
            _REJECT,
            "Fraud is suspected",
            "Nghi ngờ gian lận",
            "Suspeita de fraude",
        ),
        _reason(ReasonCode.OTHER, _BOTH, "Other reason", "Lý do khác", "Outro motivo"),
    )
}
"""Every reason by its code, in the order in which people choose from them."""
