"""The samples' scores, kept as a file because the lake knows no service, are those that intake would give."""

from __future__ import annotations

import json
from pathlib import Path

from services.intake.domain import Profile
from services.intake.scorecard import score
from services.lake.samples import rows
from services.lake.samples.german_credit import sample_split

SCORES = Path(rows.__file__).with_name("scores.json")


def current_scores() -> list[dict[str, object]]:
    """What the scorecard says of the fifty samples today; write it to the file when the scorecard changes."""
    samples, _ = sample_split()
    scored = [score(Profile(**sample.profile), sample.term_months) for sample in samples]
    return [
        {
            "score": each.points,
            "reasons": [
                {"attribute": r.attribute, "value": r.value, "points": r.points} for r in each.reasons
            ],
        }
        for each in scored
    ]


def test_sample_scores_are_those_of_the_scorecard() -> None:
    assert json.loads(SCORES.read_text(encoding="utf-8")) == current_scores()
