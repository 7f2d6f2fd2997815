"""Compare the next generation with the active one on a gold set."""

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext_noop

from cairn.access.scope import Scope
from cairn.errors import Conflict
from ingestion.reindexing.services import next_generation
from retrieval.engine import engine_of, get_engine
from retrieval.evaluation.generation_comparison import compare
from retrieval.evaluation.gold_file import GoldQuestion
from retrieval.index.generations import open_generation
from retrieval.models import GenerationState, IndexGeneration


def generation_compare(*, questions: Sequence[GoldQuestion], scope: Scope) -> dict[str, Any]:
    """Compare the ready generation and save the result, which a swap checks. Conflict if none is ready."""
    row = next_generation()
    if row is None or row.state != GenerationState.READY:
        raise Conflict(gettext_noop("No index is ready to compare."))
    found = compare(questions, get_engine(), engine_of(open_generation(row)), scope=scope)
    comparison = {
        "questions": found.questions,
        "before": found.before,
        "after": found.after,
        "worse": found.worse,
    }
    IndexGeneration.objects.filter(pk=row.pk).update(comparison=comparison)
    return comparison
