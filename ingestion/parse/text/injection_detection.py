"""Detection of text addressed to a language model, such as "ignore all previous instructions".

Rules for English and German, without a model. Findings are reported to the document's owner and have no
other effect: the document stays searchable. Instructions in plain words ("write a poem") are not detected.
The prompts of answers are in `retrieval.answering.prompts`.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from cairn import messages
from cairn.library.rendition import Element, Rendition
from cairn.messages import CodedMessage

MAX_REPORTED: Final = 5
_LONGEST: Final = 120
_MODEL: Final = (
    r"(?:ai|a\.i\.|llm|llms|chat ?bot|chatbot|assistant|language model|chatgpt|gpt|ki|sprachmodell|assistent)"
)
_ANSWER: Final = r"(?:answer|response|reply|output|message)"
_SECRETS: Final = (
    r"(?:conversation|chat history|system prompt|passwords?|credentials|secrets?|api[- ]keys?|access tokens?"
    r"|bank details|credit card|passwort|passwörter|zugangsdaten|gespräch|chatverlauf|bankdaten)"
)
_ADDRESS: Final = r"(?:https?://|www\.|[\w.+-]+@[\w-]+\.\w)"
_RULES: Final = (
    (
        ("ignor", "disregard", "forget", "override", "bypass"),
        (
            r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,30}\b(?:previous|prior|above|earlier|preceding|foregoing"
            r"|all|any|your|system)\b.{0,30}\b(?:instructions?|prompts?|directives?|guidelines|commands?)\b"
        ),
    ),
    (
        ("ignorier", "vergiss", "vergessen", "missacht"),
        (
            r"\b(?:ignorier\w*|vergiss|vergessen sie|missachte\w*)\b.{0,30}\b(?:vorherig\w*"
            r"|bisherig\w*|obig\w*"
            r"|vorangegangen\w*|vorangehend\w*|früher\w*|alle\w*|dein\w*)\b.{0,30}"
            r"\b(?:anweisung\w*|instruktion\w*|befehl\w*|vorgabe\w*|prompts?)\b"
        ),
    ),
    (
        ("you are", "you must", "you will", "pretend"),
        (
            rf"\byou are (?:now|no longer|from now on)\b.{{0,60}}\b(?:{_MODEL}|dan|mode|persona|unrestricted"
            rf"|unfiltered"
            r"|hacker|pirate|jailbroken)\b|\bfrom now on,? you (?:are|will|must|act|respond|answer)\b"
            r"|\bpretend (?:to be|you are|that you are)\b"
        ),
    ),
    (
        ("du bist", "du ab", "ab sofort", "ab jetzt", "tu so"),
        (
            r"\bdu bist (?:jetzt|nun|ab sofort|ab jetzt|kein\w*)\b|\bab (?:sofort|jetzt)\b.{0,20}"
            r"\b(?:bist|antwortest|sprichst|sollst|musst) du\b|\btu so,? als\b"
        ),
    ),
    (
        ("prompt",),
        (
            r"\b(?:reveal|print|show|repeat|output|leak|ignore|override|verrate|zeige|nenne)\b.{0,40}\bprompts?\b"
            r"|\b(?:your|the|deinen?|den) system[- ]?prompt\b|\bnew system prompt\b|^\W*system[- ]?prompt\W*:"
        ),
    ),
    (
        (
            "<|",
            "[inst",
            "[/inst",
            "<<sys",
            "_of_turn",
            "</s>",
            "<system",
            "<assistant",
            "### system",
            "### instruction",
            "### assistant",
            "system:",
            "assistant:",
        ),
        (
            r"<\|[a-z_]{2,30}\|>|\[/?inst\]|<</?sys>>|<(?:start|end)_of_turn>|</s>|</?(?:system|assistant)>"
            r"|^#{2,4} (?:system|instructions?|assistant)\b.{0,3}$"
            r"|^\W*(?:system|assistant)\s*:\s*(?:you|ignore|from now|always|never|override|du|ab sofort)\b"
        ),
    ),
    (
        (
            "tell",
            "inform",
            "mention",
            "reveal",
            "disclose",
            "alert",
            "notify",
            "warn",
            "nutzer",
            "benutzer",
            "anwender",
        ),
        (
            r"\b(?:do not|don['’]t|never) (?:tell|inform|mention|reveal|disclose|alert|warn|notify)\b.{0,25}"
            r"\bthe (?:user|asker|human)\b"
            r"|\b(?:sage?|verrate|erwähne|teile|informiere)\b.{0,30}\b(?:dem|den"
            r"|der) (?:be)?(?:nutzer|anwender)\w*"
            r"\b.{0,30}"
            r"\bnicht"
        ),
    ),
    (
        (
            "only with",
            "only reply",
            "only respond",
            "only answer",
            "antworte",
            "reply in",
            "reply using",
            "respond in",
            "respond with",
            "answer in",
        ),
        (
            r"\b(?:reply|respond|answer) only (?:with|in)\b|\bonly (?:reply|respond|answer) (?:with|in)\b"
            r"|\bantworte\w* (?:sie )?(?:nur|ausschließlich|stets|immer) (?:mit|auf|in)\b"
            r"|\b(?:reply|respond|answer) (?:in|using) (?:reverse|base ?\d+|rot ?13|morse|emojis?"
            r"|a cipher|code"
            r"|french"
            r"|german|spanish|italian|portuguese|chinese|russian)\b"
        ),
    ),
    (
        (
            "your answer",
            "your response",
            "your reply",
            "your output",
            "your message",
            "deine antwort",
            "deiner antwort",
        ),
        (
            rf"\b(?:encode|encrypt|reverse|translate|render|rewrite|express|augment|enhance|modify|invert|replace|substitute"
            rf"|shift|represent|display)\b.{{0,60}}\byour {_ANSWER}s?\b"
            rf"|\b(?:add|include|integrate|append|insert|put|incorporate)\b.{{0,200}}"
            rf"\b(?:to|in|into|within) your {_ANSWER}\b"
            rf"|\bin your {_ANSWER},? (?:include|mention|suggest|add|say|state|promote|write)\b"
            rf"|\b(?:words?|keywords?|letters?|order) in your {_ANSWER}\b"
            rf"|\b(?:cipher|encoding|emojis?|substitution)\b.{{0,60}}"
            rf"\byour {_ANSWER}\b"
            rf"|\b(?:provide|give|write|use|express|display)\b.{{0,60}}\byour {_ANSWER}\b.{{0,20}}"
            r"\b(?:in [A-Z]?[a-z]+\W*$|using|backwards?|reverse|encoding)"
            r"|\b(?:füge|ergänze|erwähne|nenne|schreibe|übersetze|verschlüssele|kodiere)"
            r"\b.{0,120}\bdeiner? antwort\b"
        ),
    ),
    (
        ("http", "www.", "@"),
        (
            rf"\b(?:send|post|forward|submit|transmit|exfiltrate|leak|share|append)\b.{{0,60}}\b{_SECRETS}\b.{{0,60}}{_ADDRESS}"
            rf"|\b(?:sende|schicke|übermittle|poste)\b.{{0,60}}\b{_SECRETS}\b.{{0,60}}{_ADDRESS}"
            r"|!\[[^\]]{0,80}\]\(https?://[^)\s]{0,200}[?&][^)\s]{0,80}=\s*[{<\[$]"
        ),
    ),
    (
        (
            "if you are",
            "if you're",
            "wenn du",
            "note to",
            "attention",
            "hinweis an",
            "instructions for",
            "anweisung",
        ),
        (
            rf"\b(?:if you(?:['’]re| are)|wenn du) (?:an?|eine?) (?:\w+ )?{_MODEL}\b"
            rf"|\b(?:note to|attention|hinweis an|instructions? (?:to|for)|anweisung(?:en)? (?:an|für))"
            rf"(?: the| any| all| die| das| den| jedes| alle)? {_MODEL}\b"
        ),
    ),
    (
        ("verdict", "urteil"),
        r"\b(?:set|mark|report|rate|say|state)\b.{0,40}\bverdict\b|\bthe verdict is (?:supported|true)\b",
    ),
)
_Rule = tuple[tuple[str, ...], re.Pattern[str]]
_COMPILED: Final[tuple[_Rule, ...]] = tuple(
    (needles, re.compile(pattern, re.IGNORECASE | re.MULTILINE | re.DOTALL)) for needles, pattern in _RULES
)


def find_instruction(text: str, rules: Sequence[_Rule] = _COMPILED) -> str:
    """Return the first words that look like an instruction to a language model; empty if none do."""
    folded = text.casefold()
    hits = (
        match
        for needles, pattern in rules
        if any(map(folded.__contains__, needles))
        for match in islice(pattern.finditer(text), 1)
    )
    first = min(hits, key=lambda match: match.start(), default=None)
    return _clip_text(text[first.start() : first.end()]) if first else ""


def describe_findings(rendition: Rendition) -> tuple[str, ...]:
    """Return report sentences with place and words; one sentence summarises those beyond MAX_REPORTED."""
    places = list(_places(rendition))
    more = len(places) - MAX_REPORTED
    sentences = [
        CodedMessage("suspicious", place=place, words=words) for place, words in places[:MAX_REPORTED]
    ]
    return (*sentences, *([CodedMessage("suspicious_more", count=more)] if more > 0 else []))


def _places(rendition: Rendition) -> Iterator[tuple[str, str]]:
    own: dict[str, str] = {CodedMessage("place_title"): rendition.title or ""}
    own |= {
        CodedMessage("place_property", name=name.replace("_", " ")): value
        for name, value in rendition.properties.items()
    }
    rules = _rules_for([*own.values(), *(element.text for element in rendition.elements)])
    for place, text in own.items():
        if words := find_instruction(text, rules):
            yield place, words
    for element in rendition.elements:
        if words := find_instruction(element.text, rules):
            yield _place(element), words


def _rules_for(texts: Sequence[str]) -> list[_Rule]:
    """Return the few rules whose required words occur in the texts, with these words."""
    folded = "\n".join(texts).casefold()
    present = ((tuple(filter(folded.__contains__, needles)), pattern) for needles, pattern in _COMPILED)
    return [(needles, pattern) for needles, pattern in present if needles]


def _place(element: Element) -> str:
    where: Sequence[str] = (
        *([CodedMessage("place_page", number=str(element.page))] if element.page else []),
        *([CodedMessage("place_sheet", name=element.sheet)] if element.sheet else []),
        *([CodedMessage("place_section", name=_clip_text(element.section[-1]))] if element.section else []),
    )
    return (
        CodedMessage("place_text_at", place=messages.join("list", *where))
        if where
        else CodedMessage("place_text")
    )


def _clip_text(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST].rstrip()}…"
