"""Texts of refusals, in the languages in which questions are understood.

A refusal is written by Cairn as a whole, so all of it, with the labels that a page puts around it, can be in
one language: the question's. Only texts: `answerability` and `generation.verdict` decide.
"""

from collections.abc import Sequence
from typing import Final, Literal, get_args

from retrieval.answering.text.lexicon import language_of, recognised_language
from retrieval.answering.text.number_words import identify_language

ReplyLanguage = Literal["en", "de", "fr", "es", "it", "pt", "nl", "da"]
REPLY_LANGUAGES: Final[tuple[ReplyLanguage, ...]] = get_args(ReplyLanguage)
MIN_CONFIDENCE: Final = 0.6  # English keywords reach 0.5 as another language
_MAX_TERMS: Final = 4

REFUSALS: Final[dict[str, dict[ReplyLanguage, str]]] = {
    "refused": {
        "en": "Not found in your knowledge bases",
        "de": "Nicht in Ihren Wissensbasen gefunden",
        "fr": "Introuvable dans vos bases de connaissances",
        "es": "No se ha encontrado en sus bases de conocimiento",
        "it": "Non trovato nelle tue basi di conoscenza",
        "pt": "Não encontrado nas suas bases de conhecimento",
        "nl": "Niet gevonden in uw kennisbanken",
        "da": "Ikke fundet i dine vidensbaser",
    },
    "related": {
        "en": "Closest documents:",
        "de": "Am ehesten passende Dokumente:",
        "fr": "Documents les plus proches :",
        "es": "Documentos relacionados:",
        "it": "Documenti correlati:",
        "pt": "Documentos relacionados:",
        "nl": "Verwante documenten:",
        "da": "Beslægtede dokumenter:",
    },
    "advice": {
        "en": "Try different words, ask one thing at a time, or choose other knowledge bases.",
        "de": "Formulieren Sie die Frage anders, fragen Sie nur eine Sache auf einmal oder suchen Sie in "
        "anderen Wissensbasen.",
        "fr": "Essayez d’autres mots, posez une seule question à la fois ou choisissez d’autres bases de "
        "connaissances.",
        "es": "Pruebe con otras palabras, pregunte una sola cosa a la vez o elija otras bases de "
        "conocimiento.",
        "it": "Prova con altre parole, fai una domanda alla volta o scegli altre basi di conoscenza.",
        "pt": "Tente outras palavras, pergunte uma coisa de cada vez ou escolha outras bases de "
        "conhecimento.",
        "nl": "Probeer andere woorden, stel één vraag tegelijk of kies andere kennisbanken.",
        "da": "Prøv med andre ord, spørg om én ting ad gangen, eller vælg andre vidensbaser.",
    },
    "being_read": {
        "en": "Some of your documents are still being read. Ask again when they are ready.",
        "de": "Einige Ihrer Dokumente werden noch eingelesen. Fragen Sie noch einmal, wenn sie bereit sind.",
        "fr": "Certains de vos documents sont encore en cours de lecture. Reposez la question plus tard.",
        "es": "Algunos de sus documentos aún se están leyendo. Vuelva a preguntar cuando estén listos.",
        "it": "Alcuni dei tuoi documenti sono ancora in lettura. Chiedi di nuovo quando saranno pronti.",
        "pt": "Alguns dos seus documentos ainda estão a ser lidos. Pergunte de novo mais tarde.",
        "nl": "Sommige van uw documenten worden nog gelezen. Vraag het opnieuw wanneer ze klaar zijn.",
        "da": "Nogle af dine dokumenter er stadig ved at blive læst. Spørg igen, når de er klar.",
    },
    "empty": {
        "en": "The question is empty.",
        "de": "Die Frage ist leer.",
        "fr": "La question est vide.",
        "es": "La pregunta está vacía.",
        "it": "La domanda è vuota.",
        "pt": "A pergunta está vazia.",
        "nl": "De vraag is leeg.",
        "da": "Spørgsmålet er tomt.",
    },
    "no_hits": {
        "en": "I found nothing about this in the documents you can access.",
        "de": "Dazu habe ich in den Dokumenten, auf die Sie Zugriff haben, nichts gefunden.",
        "fr": "Je n’ai rien trouvé à ce sujet dans les documents auxquels vous avez accès.",
        "es": "No he encontrado nada sobre esto en los documentos a los que tiene acceso.",
        "it": "Non ho trovato nulla su questo argomento nei documenti a cui hai accesso.",
        "pt": "Não encontrei nada sobre isto nos documentos a que tem acesso.",
        "nl": "Ik heb hierover niets gevonden in de documenten waartoe u toegang hebt.",
        "da": "Jeg fandt intet om dette i de dokumenter, du har adgang til.",
    },
    "no_title": {
        "en": "I found no document with this title.",
        "de": "Ich habe kein Dokument mit diesem Titel gefunden.",
        "fr": "Je n’ai trouvé aucun document portant ce titre.",
        "es": "No he encontrado ningún documento con este título.",
        "it": "Non ho trovato alcun documento con questo titolo.",
        "pt": "Não encontrei nenhum documento com este título.",
        "nl": "Ik heb geen document met deze titel gevonden.",
        "da": "Jeg fandt intet dokument med denne titel.",
    },
    "far": {
        "en": "Even the closest pages I found are about something else.",
        "de": "Selbst die ähnlichsten Seiten behandeln ein anderes Thema.",
        "fr": "Les pages les plus proches que j’ai trouvées traitent d’autre chose.",
        "es": "Las páginas más parecidas que he encontrado tratan de otra cosa.",
        "it": "Le pagine più simili che ho trovato parlano d’altro.",
        "pt": "As páginas mais próximas que encontrei tratam de outro assunto.",
        "nl": "De meest gelijkende pagina’s die ik heb gevonden, gaan over iets anders.",
        "da": "De nærmeste sider, jeg fandt, handler om noget andet.",
    },
    "other_language": {
        "en": "The closest pages I found are mostly in {other}. Try asking in {other}.",
        "de": "Die ähnlichsten Seiten sind meist auf {other}. Fragen Sie am besten auf {other}.",
        "fr": "Les pages les plus proches que j’ai trouvées sont surtout en {other}. Essayez de poser la "
        "question en {other}.",
        "es": "La mayoría de las páginas más parecidas están en {other}. Pruebe a preguntar en {other}.",
        "it": "Le pagine più simili che ho trovato sono per lo più in {other}. Prova a fare la domanda in "
        "{other}.",
        "pt": "As páginas mais próximas que encontrei estão sobretudo em {other}. Experimente perguntar em "
        "{other}.",
        "nl": "De meest gelijkende pagina’s zijn vooral in het {other}. Stel uw vraag in het {other}.",
        "da": "De nærmeste sider, jeg fandt, er mest på {other}. Prøv at spørge på {other}.",
    },
    "missing": {
        "en": "I found related pages, but none of them mentions {terms}.",
        "de": "Ich habe Seiten zum Thema gefunden, aber keine erwähnt {terms}.",
        "fr": "J’ai trouvé des pages apparentées, mais aucune ne mentionne {terms}.",
        "es": "He encontrado páginas relacionadas, pero ninguna menciona {terms}.",
        "it": "Ho trovato pagine correlate, ma nessuna menziona {terms}.",
        "pt": "Encontrei páginas relacionadas, mas nenhuma menciona {terms}.",
        "nl": "Ik heb verwante pagina’s gevonden, maar geen ervan noemt {terms}.",
        "da": "Jeg fandt beslægtede sider, men ingen af dem nævner {terms}.",
    },
    "kind": {
        "en": "I found related pages, but none of them {kind}.",
        "de": "Ich habe Seiten zum Thema gefunden, aber keine {kind}.",
        "fr": "J’ai trouvé des pages apparentées, mais aucune {kind}.",
        "es": "He encontrado páginas relacionadas, pero ninguna {kind}.",
        "it": "Ho trovato pagine correlate, ma nessuna {kind}.",
        "pt": "Encontrei páginas relacionadas, mas nenhuma {kind}.",
        "nl": "Ik heb verwante pagina’s gevonden, maar geen ervan {kind}.",
        "da": "Jeg fandt beslægtede sider, men ingen af dem {kind}.",
    },
    "code": {
        "en": "gives this code or password",
        "de": "nennt diesen Code oder dieses Passwort",
        "fr": "n’indique ce code ou ce mot de passe",
        "es": "indica este código o contraseña",
        "it": "indica questo codice o questa password",
        "pt": "indica este código ou esta palavra-passe",
        "nl": "vermeldt deze code of dit wachtwoord",
        "da": "angiver denne kode eller adgangskode",
    },
    "amount": {
        "en": "states this amount",
        "de": "nennt diesen Betrag",
        "fr": "n’indique ce montant",
        "es": "indica este importe",
        "it": "indica questo importo",
        "pt": "indica este montante",
        "nl": "vermeldt dit bedrag",
        "da": "angiver dette beløb",
    },
    "share": {
        "en": "states this percentage",
        "de": "nennt diesen Prozentsatz",
        "fr": "n’indique ce pourcentage",
        "es": "indica este porcentaje",
        "it": "indica questa percentuale",
        "pt": "indica esta percentagem",
        "nl": "vermeldt dit percentage",
        "da": "angiver denne procentdel",
    },
    "age": {
        "en": "states this age",
        "de": "nennt dieses Alter",
        "fr": "n’indique cet âge",
        "es": "indica esta edad",
        "it": "indica questa età",
        "pt": "indica esta idade",
        "nl": "vermeldt deze leeftijd",
        "da": "angiver denne alder",
    },
    "year": {
        "en": "names this year",
        "de": "nennt dieses Jahr",
        "fr": "n’indique cette année",
        "es": "indica este año",
        "it": "indica questo anno",
        "pt": "indica este ano",
        "nl": "vermeldt dit jaar",
        "da": "angiver dette år",
    },
    "clock": {
        "en": "gives this time of day",
        "de": "nennt diese Uhrzeit",
        "fr": "n’indique cette heure",
        "es": "indica esta hora",
        "it": "indica questo orario",
        "pt": "indica esta hora",
        "nl": "vermeldt dit tijdstip",
        "da": "angiver dette klokkeslæt",
    },
    "frequency": {
        "en": "says how often",
        "de": "sagt, wie oft",
        "fr": "n’indique à quelle fréquence",
        "es": "dice con qué frecuencia",
        "it": "dice con quale frequenza",
        "pt": "diz com que frequência",
        "nl": "zegt hoe vaak",
        "da": "siger, hvor ofte",
    },
    "span": {
        "en": "says how long",
        "de": "nennt diese Dauer",
        "fr": "n’indique cette durée",
        "es": "indica esta duración",
        "it": "indica questa durata",
        "pt": "indica esta duração",
        "nl": "vermeldt deze duur",
        "da": "siger, hvor længe",
    },
    "contact": {
        "en": "gives this phone number",
        "de": "nennt diese Telefonnummer",
        "fr": "n’indique ce numéro de téléphone",
        "es": "indica este número de teléfono",
        "it": "indica questo numero di telefono",
        "pt": "indica este número de telefone",
        "nl": "vermeldt dit telefoonnummer",
        "da": "angiver dette telefonnummer",
    },
    "address": {
        "en": "gives this address",
        "de": "nennt diese Adresse",
        "fr": "n’indique cette adresse",
        "es": "indica esta dirección",
        "it": "indica questo indirizzo",
        "pt": "indica este endereço",
        "nl": "vermeldt dit adres",
        "da": "angiver denne adresse",
    },
    "number": {
        "en": "states this number",
        "de": "nennt diese Zahl",
        "fr": "n’indique ce nombre",
        "es": "indica este número",
        "it": "indica questo numero",
        "pt": "indica este número",
        "nl": "vermeldt dit aantal",
        "da": "angiver dette tal",
    },
    "date": {
        "en": "gives this date",
        "de": "nennt dieses Datum",
        "fr": "n’indique cette date",
        "es": "indica esta fecha",
        "it": "indica questa data",
        "pt": "indica esta data",
        "nl": "vermeldt deze datum",
        "da": "angiver denne dato",
    },
    "unread": {
        "en": "I found related pages, but none of them answers this question.",
        "de": "Ich habe Seiten zum Thema gefunden, aber keine beantwortet diese Frage.",
        "fr": "J’ai trouvé des pages apparentées, mais aucune ne répond à cette question.",
        "es": "He encontrado páginas relacionadas, pero ninguna responde a esta pregunta.",
        "it": "Ho trovato pagine correlate, ma nessuna risponde a questa domanda.",
        "pt": "Encontrei páginas relacionadas, mas nenhuma responde a esta pergunta.",
        "nl": "Ik heb verwante pagina’s gevonden, maar geen ervan beantwoordt deze vraag.",
        "da": "Jeg fandt beslægtede sider, men ingen af dem besvarer dette spørgsmål.",
    },
    "nothing_supported": {
        "en": "I couldn’t write an answer that the documents support.",
        "de": "Ich konnte keine Antwort schreiben, die durch die Dokumente belegt ist.",
        "fr": "Je n’ai pas pu rédiger de réponse étayée par les documents.",
        "es": "No he podido redactar una respuesta que los documentos respalden.",
        "it": "Non sono riuscito a scrivere una risposta supportata dai documenti.",
        "pt": "Não consegui escrever uma resposta que os documentos sustentem.",
        "nl": "Ik kon geen antwoord schrijven dat door de documenten wordt ondersteund.",
        "da": "Jeg kunne ikke skrive et svar, som dokumenterne underbygger.",
    },
    "model_gone": {
        "en": "The language model isn’t available right now.",
        "de": "Das Sprachmodell ist gerade nicht erreichbar.",
        "fr": "Le modèle de langage n’est pas disponible pour le moment.",
        "es": "El modelo de lenguaje no está disponible en este momento.",
        "it": "Il modello linguistico non è disponibile in questo momento.",
        "pt": "O modelo de linguagem não está disponível neste momento.",
        "nl": "Het taalmodel is op dit moment niet beschikbaar.",
        "da": "Sprogmodellen er ikke tilgængelig lige nu.",
    },
    "stopped": {
        "en": "The answer was stopped.",
        "de": "Die Antwort wurde gestoppt.",
        "fr": "La réponse a été interrompue.",
        "es": "La respuesta se ha detenido.",
        "it": "La risposta è stata interrotta.",
        "pt": "A resposta foi interrompida.",
        "nl": "Het antwoord is gestopt.",
        "da": "Svaret blev stoppet.",
    },
}
"""Texts by key. The first three are labels of pages; the answer types complete `kind`."""
REFUSALS["abstained"] = REFUSALS["unread"]
_REASONS: Final = (
    "empty", "no_hits", "other_language", "no_title", "far", "missing", "kind", "unread", "nothing_supported",
    "model_gone", "stopped",
)  # fmt: skip
"""Texts that begin a reason."""
_QUOTED: Final[dict[ReplyLanguage, str]] = {
    "en": "“{}”",
    "de": "„{}“",
    "fr": "«\N{NO-BREAK SPACE}{}\N{NO-BREAK SPACE}»",
    "es": "«{}»",
    "it": "«{}»",
    "pt": "“{}”",
    "nl": "“{}”",
    "da": "”{}”",
}
_AND: Final[dict[ReplyLanguage, str]] = {
    "en": "and", "de": "und", "fr": "et", "es": "y", "it": "e", "pt": "e", "nl": "en", "da": "og",
}  # fmt: skip


def reply_language(question: str) -> ReplyLanguage:
    """Return the language in which to refuse the question: its own, if it can be recognised."""
    if recognised_language(question) == "en":
        return "en"
    found, confidence = identify_language(question)
    known = next((language for language in REPLY_LANGUAGES if language == found), None)
    return known if known and confidence >= MIN_CONFIDENCE else language_of(question)


def language_of_refusal(reason: str, question: str) -> ReplyLanguage:
    """Return the language of a stored reason, for the labels around it."""
    for key in _REASONS:
        for language, text in REFUSALS[key].items():
            if reason.startswith(text.partition("{")[0]):
                return language
    return reply_language(reason or question)


def format_terms(terms: Sequence[str], language: ReplyLanguage) -> str:
    """Quote and join at most four terms."""
    quoted = [_QUOTED[language].format(term) for term in terms[:_MAX_TERMS]]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {_AND[language]} {quoted[-1]}"
