"""Detects claims that deny what their evidence affirms, or the other way round.

Polarity is compared clause by clause: a clause of the claim with the clause of the evidence that shares most
content words. Two negations in a clause cancel each other.
"""

import re
from dataclasses import dataclass

from retrieval.answering.text.lexicon import Language
from retrieval.answering.text.terms import WORD, is_content, stem

_CLAUSE = re.compile(
    r"[,;:.!?()\n–—|]|\s-\s|\b(?:and|but|if|unless|when|while|because|although|though|which|who|that|so"
    r"|und|aber|sondern|wenn|falls|weil|obwohl|während|dass|damit|sofern)\b",
    re.IGNORECASE,
)
_IDIOM = re.compile(
    r"\b(?:not only|no later than|no more than|no less than|no fewer than|no longer than|not later than|"
    r"whether or not|nicht nur|nicht später als|nicht mehr als|no\.\s*\d)",
    re.IGNORECASE,
)
_INFINITIVE = re.compile(r",(?=[^,;:.!?]{0,80}\szu\s\w+n\b)", re.IGNORECASE)
"""German separates "…, Passwörter zu teilen" by a comma, but the words before it negate it."""
_WORDS = """not no never none nobody nothing neither nor without cannot prohibited forbidden prohibit
prohibits nicht kein keine keinen keinem keiner keines nie niemals nichts niemand niemanden ohne weder
verboten untersagt unzulässig"""
NEGATORS = frozenset(_WORDS.split())
PREFIXED = {
    "ineligible": "eligible",
    "unable": "able",
    "unpaid": "paid",
    "unavailable": "available",
    "unauthorized": "authorized",
    "unclassified": "classified",
    "unnecessary": "necessary",
    "impossible": "possible",
    "invalid": "valid",
    "incomplete": "complete",
    "disallowed": "allowed",
    "disapproved": "approved",
    "unmöglich": "möglich",
    "ungültig": "gültig",
    "unbezahlt": "bezahlt",
    "unbezahlte": "bezahlte",
    "unbezahlter": "bezahlter",
}
_CONTRACTED = re.compile(r"n['’]t\b|\bcant\b|\bdont\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Clause:
    stems: frozenset[str]
    negated: bool


def contradicts(claim: str, evidence: str, language: Language, topic: frozenset[str] = frozenset()) -> bool:
    """Return whether polarity differs. `topic`: stems the whole evidence is about, so sharing them means
    nothing."""
    known = clauses(evidence, language)
    return any(_differs(clause, known, topic) for clause in clauses(claim, language))


def clauses(text: str, language: Language) -> list[Clause]:
    cleaned = _INFINITIVE.sub(" ", _IDIOM.sub(" ", text))
    found = [_clause(part, language) for part in _CLAUSE.split(cleaned)]
    return [clause for clause in found if clause.stems]


def _clause(text: str, language: Language) -> Clause:
    text = _CONTRACTED.sub(" not", text)
    words = [word.casefold() for word in WORD.findall(text)]
    negations = sum((word in NEGATORS) + (word in PREFIXED) for word in words if word != "nor")
    if "nor" in words:
        negations = max(1, negations)  # it continues a negation
    plain = [PREFIXED.get(word, word) for word in words if word not in NEGATORS]
    stems = frozenset(stem(word, language) for word in plain if is_content(word, language))
    return Clause(stems, negations % 2 == 1)


def _differs(clause: Clause, known: list[Clause], topic: frozenset[str]) -> bool:
    """Return whether the clause's polarity differs from its nearest. A negation without counterpart in the
    evidence does."""
    shared = [len(clause.stems & other.stems) for other in known]
    best = max(shared, default=0)
    if best == 0:
        return clause.negated
    nearest = [other for other, count in zip(known, shared, strict=True) if count == best]
    if all(other.negated != clause.negated for other in nearest):
        return True
    return not clause.negated and bool(_stems_only_negated(clause, known) - topic)


def _stems_only_negated(clause: Clause, known: list[Clause]) -> frozenset[str]:
    """Return stems that an affirmative clause shares only with negated clauses."""
    nothing: frozenset[str] = frozenset()
    denied = nothing.union(*(other.stems for other in known if other.negated))
    affirmed = nothing.union(*(other.stems for other in known if not other.negated))
    return (clause.stems & denied) - affirmed
