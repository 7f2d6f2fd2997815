"""Word lists for English and German."""

import re
from typing import Literal

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

_NUMBERS = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen",
    "de": "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn "
    "sechzehn siebzehn achtzehn neunzehn",
}
_TENS = {
    "en": "twenty thirty forty fifty sixty seventy eighty ninety",
    "de": "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig",
}
NUMBER_WORDS: dict[str, int] = {
    **{word: value for words in _NUMBERS.values() for value, word in enumerate(words.split())},
    **{word: 10 * value for words in _TENS.values() for value, word in enumerate(words.split(), 2)},
}
SCALES = {
    "hundred": 100,
    "hundert": 100,
    "thousand": 1000,
    "tausend": 1000,
    "k": 1000,
    "million": 10**6,
    "millions": 10**6,
    "millionen": 10**6,
    "mio": 10**6,
    "billion": 10**9,
    "milliarde": 10**9,
    "milliarden": 10**9,
    "mrd": 10**9,
    "bn": 10**9,
}
_UNITS = {
    "second": "second seconds sec secs sekunde sekunden",
    "minute": "minute minutes min mins minuten",
    "hour": "hour hours hr hrs h stunde stunden std",
    "day": "day days tag tage tagen",
    "week": "week weeks wk wks woche wochen",
    "month": "month months monat monate monaten",
    "year": "year years yr yrs jahr jahre jahren",
    "%": "% percent pct prozent",
    "$": "$ usd dollar dollars",
    "€": "€ eur euro euros",
    "£": "£ gbp pounds",
    "metre": "metre metres meter meters metern",
    "km": "km kilometre kilometres kilometer kilometers kilometern",
    "mile": "mile miles mi meile meilen",
    "foot": "foot feet ft",
    "kg": "kg kilogram kilograms kilogramm",
    "byte": "byte bytes",
    "kb": "kb kilobyte kilobytes",
    "mb": "mb megabyte megabytes",
    "gb": "gb gigabyte gigabytes",
    "tb": "tb terabyte terabytes",
    "degree": "° degree degrees grad",
    "person": "person persons people personen",
    "page": "page pages seite seiten",
    "period": "period periods",
}
UNITS: dict[str, str] = {word: unit for unit, words in _UNITS.items() for word in words.split()}
PERIODS = frozenset({"second", "minute", "hour", "day", "week", "month", "year"})
_RATES = {
    "hour": "hourly stündlich",
    "day": "daily täglich",
    "week": "weekly wöchentlich",
    "month": "monthly monatlich",
    "year": "yearly annual annually jährlich",
}
RATES: dict[str, str] = {word: unit for unit, words in _RATES.items() for word in words.split()}

_MONTHS = (
    "january januar jänner jan",
    "february februar feb",
    "march märz mar",
    "april apr",
    "may mai",
    "june juni jun",
    "july juli jul",
    "august aug",
    "september sept sep",
    "october oktober oct okt",
    "november nov",
    "december dezember dec dez",
)
MONTHS: dict[str, int] = {word: number for number, words in enumerate(_MONTHS, 1) for word in words.split()}

_WEEKDAYS = (
    "monday montag",
    "tuesday dienstag",
    "wednesday mittwoch",
    "thursday donnerstag",
    "friday freitag",
    "saturday samstag sonnabend",
    "sunday sonntag",
)
WEEKDAYS: dict[str, int] = {
    form: number
    for number, words in enumerate(_WEEKDAYS, 1)
    for word in words.split()
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


def language_of(text: str) -> Language:
    """English unless German function words outnumber the English ones."""
    words = [word.casefold() for word in _WORD.findall(text[:5000])]
    german = sum(word in _ONLY["de"] for word in words) + bool(_UMLAUT.search(text[:5000]))
    return "de" if german > sum(word in _ONLY["en"] for word in words) else "en"
