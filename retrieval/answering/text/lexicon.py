"""Word lists for English and German."""

import re
from typing import Literal

from retrieval.answering.text.locales import month_names, scale_names, unit_names, weekday_names

Language = Literal["en", "de"]

_EN = """a about above after again against all also am an and any are as at be because been before being
below between both but by can could did do does doing down during each either else ever every few for from
further get gets getting got had has have having he her here hers him his how i if in into is it its itself
just let like may me might more most much must my need needs no nor not of off on once one only or other our
ours out over own per please same shall she should so some such than that the their theirs them then there
these they this those through to too under until up upon us use used using very via want was we were what
when where whether which while who whom whose why will with within without would yes you your yours"""
_DE = """aber alle allem allen aller alles als also am an andere anderen auch auf aus bei beim bin bis bist da
damit dann darf das dass dein deine dem den denn der des dessen dich die dies diese diesem diesen dieser
dieses dir doch dort du durch ein eine einem einen einer eines er es etwas euch euer für gegen gibt hab habe
haben hat hatte hier ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im in ist ja jede jedem jeden jeder jedes
jetzt kann kein keine keinem keinen keiner können könnte man mein meine meinem meinen meiner mich mir mit
muss müssen nach nein nicht noch nur ob oder ohne sein seine seinem seinen seiner sich sie sind so soll
sollen sollte sondern um und uns unser unter vom von vor wann war waren warum was welche welchem welchen
welcher welches wenn wer werde werden wie wieder wir wird wo wozu wurde wurden zu zum zur zwischen über"""
STOPWORDS: dict[Language, frozenset[str]] = {"en": frozenset(_EN.split()), "de": frozenset(_DE.split())}
_ONLY = {
    "en": STOPWORDS["en"] - STOPWORDS["de"],
    "de": STOPWORDS["de"] - STOPWORDS["en"],
}

_AMBIGUOUS = "all but for had has have her most once ours over per under via"
_DISTINCTIVE = {
    language: frozenset(word for word in words if len(word) > 2) - frozenset(_AMBIGUOUS.split())
    for language, words in _ONLY.items()
}
"""Without short words and others that are common in further European languages."""
MIN_FUNCTION_WORDS = 0.2  # as a share of all words

SCALES = scale_names() | {
    "hundred": 100,
    "hundert": 100,
    "k": 1000,
    "mio": 10**6,
    "mln": 10**6,
    "mrd": 10**9,
    "mld": 10**9,
    "bn": 10**9,
}
_UNITS = {
    "second": "sec secs",
    "minute": "min mins",
    "hour": "hr hrs h std",
    "day": "tagen",
    "week": "wk wks",
    "month": "monaten",
    "year": "yr yrs jahren",
    "%": "% pct",
    "$": "$ usd dollar dollars dólar dólares dollari",
    "€": "€ eur euro euros",
    "£": "£ gbp pounds",
    "metre": "metre metres metern",
    "km": "km kilometre kilometres kilometern",
    "mile": "mi",
    "foot": "ft",
    "kg": "kg",
    "kb": "kb",
    "mb": "mb",
    "gb": "gb",
    "tb": "tb",
    "degree": "°",
    "person": "person persons people personen",
    "page": "page pages seite seiten",
    "period": "period periods",
}
"""Units that have no name in Unicode's locale data, their abbreviations and cases."""
UNITS: dict[str, str] = unit_names() | {
    word: unit for unit, words in _UNITS.items() for word in words.split()
}
PERIODS = frozenset({"second", "minute", "hour", "day", "week", "month", "year"})
_RATES = {
    "hour": "hourly stündlich",
    "day": "daily täglich",
    "week": "weekly wöchentlich",
    "month": "monthly monatlich",
    "year": "yearly annual annually jährlich",
}
RATES: dict[str, str] = {word: unit for unit, words in _RATES.items() for word in words.split()}

MONTHS = month_names() | {"jänner": 1}
WEEKDAYS: dict[str, int] = {
    form: number
    for word, number in (weekday_names() | {"sonnabend": 6}).items()
    for form in (word, f"{word}s", f"{word}e", f"{word}en")
}

_ABBREVIATIONS = """dr mr mrs ms prof st vs e.g eg i.e ie cf ed eds approx est dept gen gov sen rep rev hon
capt col lt sgt z.b d.h u.a z.t i.d.r o.g bzw ca vgl sog ggf evtl inkl zzgl fr str tel jan feb apr jun jul
aug sep sept oct nov dec okt dez mio mrd incl attn"""
ABBREVIATIONS = frozenset(_ABBREVIATIONS.split())
"""Abbreviations whose full stop does not end a sentence; lower case, without that stop."""
_ENDING_ABBREVIATIONS = "inc ltd corp co bros jr sr etc usw al ave blvd rd gmbh"
ENDING_ABBREVIATIONS = frozenset(_ENDING_ABBREVIATIONS.split())
"""Abbreviations that can end a sentence: they do before a word such as "The"."""
_NUMBER_ABBREVIATIONS = "no nos nr nrn fig figs sec art ch vol p pp abs ziff kap s bd mar"
NUMBER_ABBREVIATIONS = frozenset(_NUMBER_ABBREVIATIONS.split())
"""Abbreviations only before a number."""

_STRUCTURE = """answer answers detail details example examples following information key list note notes
overview point points process procedure reason reasons requirement requirements result rule
rules section step steps summary way ways antwort beispiel beispiele folgende folgenden
folgendes hinweis hinweise regel regeln schritt schritte überblick zusammenfassung"""
STRUCTURE = frozenset(_STRUCTURE.split())
"""Words of headings and lead-ins that state nothing by themselves."""

_IMPERATIVES = """add ask attach bring call check choose click complete contact create download email enter
fill follow go install join log mail message notify open ping press read register remember request review run
see select send sign speak submit talk tell upload use visit write"""
IMPERATIVES = frozenset(_IMPERATIVES.split())
"""Verbs that begin a sentence, so capitalised, and are followed by a name."""

_UMLAUT = re.compile(r"[äöüß]", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+")


def recognised_language(text: str) -> Language | None:
    """Return the language if its function words show it: None for keywords or, say, French."""
    language = language_of(text)
    words = list_words(text[:5000])
    count = sum(word in _ONLY[language] for word in words)
    is_clear = count >= MIN_FUNCTION_WORDS * len(words) and not _DISTINCTIVE[language].isdisjoint(words)
    return language if is_clear else None


def language_of(text: str) -> Language:
    """English unless German function words outnumber the English ones."""
    words = list_words(text[:5000])
    german = sum(word in _ONLY["de"] for word in words) + bool(_UMLAUT.search(text[:5000]))
    return "de" if german > sum(word in _ONLY["en"] for word in words) else "en"


def list_words(text: str) -> list[str]:
    """Return the words without digits, in lower case."""
    return [word.casefold() for word in _WORD.findall(text)]
