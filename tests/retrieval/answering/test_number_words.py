import pytest

from retrieval.answering.grounding.edits import substitutions
from retrieval.answering.grounding.quantities import conflicting_figures, unsupported_figures
from retrieval.answering.text.number_words import write_digits


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("twenty-five days of leave", "25 days of leave"),
        ("two hundred and fifty people", "250 people"),
        ("fünfundzwanzig Tage Urlaub", "25 Tage Urlaub"),
        ("Die Frist endet am fünfundzwanzigsten Mai.", "Die Frist endet am 25th Mai."),
        ("drei Komma fünf Prozent", "3,5 Prozent"),
        ("vingt-cinq jours de congé", "25 jours de congé"),
        ("quatre-vingt-dix-neuf euros par mois", "99 euros par mois"),
        ("veinticinco días de vacaciones", "25 días de vacaciones"),
        ("cuarenta y dos por ciento del total", "42 % del total"),
        ("venticinque giorni di ferie", "25 giorni di ferie"),
        ("vinte e cinco dias de férias", "25 dias de férias"),
        ("vijfentwintig dagen verlof per jaar", "25 dagen verlof per jaar"),
        ("De derde verdieping is voor bezoekers.", "De 3rd verdieping is voor bezoekers."),
        ("Medarbejdere har femogtyve dages ferie.", "Medarbejdere har 25 dages ferie."),
        ("The third floor is closed.", "The 3rd floor is closed."),
        ("In der dritten Woche", "In der 3rd Woche"),
        ("the twenty-first floor", "the 21st floor"),
        ("at most 3 million euros", "at most 3 million euros"),
        ("höchstens 4 Millionen Euro", "höchstens 4 Millionen Euro"),
        ("five to ten people", "5 to 10 people"),
        ("two thirds of the members", "2 thirds of the members"),
    ],
)
def test_number_words_are_written_as_digits(text: str, digits: str) -> None:
    assert write_digits(text) == digits


@pytest.mark.parametrize(
    "text",
    [
        "No one may enter, and one of them must leave.",
        "This takes a second, and once is enough.",
        "Fire doors are due to be closed and set to alarm.",
        "Open the first page, then the second.",
        "Thousands of people and tens of offices.",
        "Data is shared with third parties.",
        "Ein Mitarbeiter gibt einem Kollegen eine Karte.",
        "Sei vorsichtig mit den Daten, auch wenn es um Kunden geht.",
        "Die Daten werden nicht an Dritte weitergegeben.",
        "Le livre est neuf et un peu lourd.",
        "Uno de ellos tiene una llave.",
        "Tu sei il responsabile di questa pagina.",
        "Er is een kaart voor de bezoekers.",
        "A reunião é na segunda-feira e na quinta-feira.",
        "En medarbejder har et kort.",
        "Once a month, the office is open.",
    ],
)
def test_other_words_are_unchanged(text: str) -> None:
    assert write_digits(text) == text


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("Mitarbeiter erhalten 25 Tage Urlaub.", "Mitarbeiter erhalten fünfundzwanzig Tage Urlaub."),
        ("Mitarbeiter erhalten fünfundzwanzig Tage Urlaub.", "Employees get twenty-five days of leave."),
        ("Les salariés ont vingt-cinq jours.", "Employees get 25 days."),
        ("Los empleados tienen veinticinco días.", "25 días"),
        ("I dipendenti hanno diritto a sei giorni.", "6 giorni"),
        ("Os funcionários têm seis dias de férias.", "6 dias"),
        ("Medewerkers krijgen zes dagen verlof.", "6 dagen"),
        ("It rose by five percent.", "5 %"),
        ("It rose by five per cent.", "fünf Prozent"),
        ("Sube un cinco por ciento al año.", "5 % al año"),
        ("It costs two hundred dollars.", "$200"),
        ("Es kostet zweihundertfünfzig Euro.", "250 €"),
        ("It ends on the third of May.", "3. Mai 2024"),
        ("It ends on May 3rd, 2024.", "2024-05-03"),
        ("Die Frist endet am dritten Mai 2024.", "3 May 2024"),
        ("El plazo termina el 3 de mayo de 2024.", "3. Mai 2024"),
        ("El plazo termina el tres de mayo de 2024.", "May 3, 2024"),
        ("Le délai expire le 1er mai 2024.", "the first of May 2024"),
        ("O prazo termina em 3 de março de 2024.", "3 marzo 2024"),
        ("De termijn eindigt op 3 mei 2024.", "3. maj 2024"),
        ("Le délai expire le 03/05/2024 pour tous les salariés.", "3 mai 2024"),
        ("It ends on 31/05/2024.", "May 31, 2024"),
        ("Das kostet im Jahr insgesamt 1.000 Euro.", "It costs 1,000 euros in total every year."),
        ("Cela coûte 1\u202f000 euros par an au total.", "1000 euros"),
        ("The first of them", "them"),
        ("jeden Montag", "cada lunes"),
    ],
)
def test_compares_by_value(claim: str, evidence: str) -> None:
    assert unsupported_figures(claim, evidence) == ()


@pytest.mark.parametrize(
    ("claim", "evidence", "missing"),
    [
        ("Mitarbeiter erhalten fünfundzwanzig Tage.", "Mitarbeiter erhalten 20 Tage.", "25 Tage"),
        ("Les salariés ont vingt-cinq jours.", "20 jours", "25 jours"),
        ("I dipendenti hanno diritto a sei giorni.", "5 giorni", "6 giorni"),
        ("It rose by five percent.", "6 %", "5 percent"),
        ("It is on the third floor.", "It is on the fourth floor.", "3"),
        ("It ends on the third of May.", "It ends on May 4.", "3rd of May."),
        ("Das kostet im Jahr insgesamt 1.000 Euro.", "Das kostet im Jahr insgesamt 1 Euro.", "1.000 Euro"),
        ("Das kostet im Jahr insgesamt 1 Euro.", "Das kostet im Jahr insgesamt 1.000 Euro.", "1 Euro"),
        ("El plazo termina el 3 de mayo de 2024.", "4 de mayo de 2024", "3 de mayo de 2024"),
        ("chaque lundi", "chaque mardi", "lundi"),
    ],
)
def test_unsupported_figures_finds_missing_values(claim: str, evidence: str, missing: str) -> None:
    assert missing in unsupported_figures(claim, evidence)


def test_conflicting_figures_finds_one_instead_of_two() -> None:
    assert conflicting_figures("You may stay one day.", "You may stay two days.") == ("1 day",)


def test_near_copies_treat_number_words_as_digits() -> None:
    nothing: frozenset[str] = frozenset()
    quote = "Mitarbeiter erhalten fünfundzwanzig Tage Urlaub im Jahr."
    assert not substitutions("Mitarbeiter erhalten 25 Tage Urlaub im Jahr.", quote, "de", nothing)
    assert substitutions("Mitarbeiter erhalten zwanzig Tage Urlaub im Jahr.", quote, "de", nothing)


@pytest.mark.parametrize(
    "evidence", ["Die Frist für alle Anträge dieser Art endet am 05/06/2024 um Mitternacht."]
)
def test_date_in_the_passages_format_is_supported_in_any_language(evidence: str) -> None:
    assert not unsupported_figures("Frist: 05/06/2024.", evidence)
    assert unsupported_figures("Frist: 05/07/2024.", evidence)
