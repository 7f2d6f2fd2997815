"""Results of a run's questions, as stored and sent."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from retrieval.evaluation.gold_file import Kind

MAX_QUESTIONS: Final = 5000
_Word = Annotated[str, Field(max_length=200)]
_Uri = Annotated[str, Field(max_length=1000)]
_Text = Annotated[str, Field(max_length=8000)]
_Value = Annotated[float, Field(allow_inf_nan=False)] | None
_Share = Annotated[float, Field(ge=0, le=1)]
Values = Annotated[dict[_Word, _Value], Field(max_length=100)]
"""Measures by name; null where no question tells."""
Grouped = Annotated[dict[_Word, Values], Field(max_length=20)]


class Asked(BaseModel):
    """Result of one question.

    `rank`: of the best relevant document in a search, from 1; `cited` and `relevant`: documents by
    `source_uri`; `documents`: ids of the cited ones; `quoted`: the share of the gold quotes that is cited;
    `faithfulness` and `relevancy`: a judge's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: _Word
    kind: Kind
    question: _Text
    standalone_question: _Text = ""
    right: bool
    refused: bool
    verdict: _Word = ""
    answer: Annotated[str, Field(max_length=64_000)]
    rank: Annotated[int, Field(ge=1)] | None = None
    quoted: _Share | None = None
    faithfulness: _Share | None = None
    relevancy: _Share | None = None
    cited: Annotated[tuple[_Uri, ...], Field(max_length=200)] = ()
    documents: Annotated[tuple[_Word, ...], Field(max_length=200)] = ()
    relevant: Annotated[tuple[_Uri, ...], Field(max_length=200)] = ()


AllAsked = Annotated[list[Asked], Field(min_length=1, max_length=MAX_QUESTIONS)]
