"""Can the evidence hold an answer? By signals that are weighed; other judges fit the same protocol.

Nearness alone cannot tell: a near miss is as near as an answer. What tells is read out of the evidence:
whether it has the question's words or others of the same meaning, its names and years, and the kind of thing
asked for (an amount, a span of time, a number of what is counted) near to what is asked.
"""

from collections.abc import Sequence

from cairn.inference.protocols import Embedder
from retrieval.answering.calibration import Calibration, calibration_for
from retrieval.answering.lexicon import Language, language_of
from retrieval.answering.protocols import Judgement
from retrieval.answering.signals import Reading, read
from retrieval.answering.wording import listed, say
from retrieval.types import Hit

FAR = 0.4  # cosine below which passages are said to be about something else
NEARER_WITHOUT = 0.08  # a gap from which what is asked for is said to be lacking
FEW_WORDS = 0.5


class RuleAnswerability:
    def __init__(self, embedder: Embedder, calibration: Calibration | None = None) -> None:
        """`calibration`: of one's own; by default what comes with Cairn for the embedder's model."""
        self._embedder = embedder
        self._calibration = calibration or calibration_for(embedder.model)

    def judge(self, question: str, evidence: Sequence[Hit]) -> Judgement:
        speaks = language_of(question)
        if not evidence:
            return Judgement(answerable=False, reason=say("no_hits", speaks))
        reading = read(question, evidence, self._embedder)
        probability = self._calibration.probability(reading.signals)
        answerable = probability >= self._calibration.threshold
        reason = "" if answerable else _reason(question, reading, speaks)
        return Judgement(answerable, reason, strong=answerable, signals=reading.signals.as_dict())


def _reason(question: str, reading: Reading, speaks: Language) -> str:
    """What is missing, by the clearest sign of it. Names nothing but words of the question."""
    terms = [word for word in (*reading.nowhere, *reading.unnamed) if word in question]
    missing = listed(list(dict.fromkeys(terms)), speaks) if terms else ""
    if missing and (reading.unnamed or not _is_near(reading)):
        return say("missing", speaks, terms=missing)
    if reading.found and _lacks_kind(reading):
        return say("kind", speaks, terms=listed(reading.found, speaks), kind=say(reading.kind, speaks))
    return say("missing", speaks, terms=missing) if missing else say("far", speaks)


def _is_near(reading: Reading) -> bool:
    return reading.signals.near >= FAR or reading.signals.words >= FEW_WORDS


def _lacks_kind(reading: Reading) -> bool:
    signals = reading.signals
    return bool(reading.kind) and (signals.gap >= NEARER_WITHOUT or signals.uncounted > 0)
