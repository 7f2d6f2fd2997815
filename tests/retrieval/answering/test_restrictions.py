import pytest

from retrieval.answering.grounding.restrictions import restricts_otherwise
from retrieval.answering.text.lexicon import Language

Pair = tuple[str, str]

TRUE_EN: list[Pair] = [
    ("Every visitor gets two badges.", "Every visitor gets two badges."),
    ("Visitors get two badges.", "Every visitor gets two badges at the gate."),
    ("Only admins get two badges.", "Only admins get two badges."),
    ("Admins get two badges.", "Only admins get two badges."),
    ("Two badges are given only to admins.", "Only admins get two badges."),
    ("Two badges are given to admins alone.", "Two badges are given only to admins."),
    ("Only admins are given two badges.", "Two badges are given to admins exclusively and to nobody else."),
    ("The gym is open only on weekdays.", "The gym is open exclusively on weekdays."),
    ("The gym is open on weekdays.", "The gym is only open on weekdays."),
    ("Bikes are allowed in the yard.", "Bikes are only allowed in the yard."),
    ("You may enter only with a badge.", "You may not enter without a badge."),
    ("You can enter unless the alarm is on.", "You can enter, except when the alarm is on."),
    ("You may not park here unless you have a permit.", "You may park here only with a permit."),
    ("Everyone except contractors may vote.", "Everyone but contractors may vote, except for contractors."),
    ("Employees may vote.", "All employees except interns may vote."),
    ("Interns may not vote.", "All employees except interns may vote."),
    ("The form is not only for managers.", "The form is for everyone, not just for managers."),
    ("The badge is just like the old one.", "The badge is like the old one."),
    ("Just click on the button.", "Click on the button."),
    ("Parcels are left at the desk.", "Parcels are left at the desk. Only letters go to the mailbox."),
    ("Letters go to the mailbox.", "Only letters go to the mailbox."),
    ("Managers may approve travel.", "Travel may be approved solely by managers."),
    ("Travel may be approved solely by managers.", "Travel may be approved exclusively by managers."),
    ("You may park here if the barrier is up.", "You may park here unless the barrier is down."),
    ("The room is reserved for staff.", "The room is reserved for staff."),
    ("Staff may use the room.", "Only staff may use the room."),
    ("Senior engineers may deploy.", "Only senior engineers may deploy."),
    ("The lounge closes at noon.", "Only members may use the lounge, which closes at noon."),
    ("No one else gets two badges.", "Only admins get two badges."),
    ("We have just moved to the new office.", "We have moved to the new office."),
    ("The file is read-only.", "The file is read-only and cannot be changed."),
    ("Refunds are limited to members.", "Only members get refunds."),
]
FALSE_EN: list[Pair] = [
    ("Only admins get two badges.", "Every visitor gets two badges."),
    ("Just admins get two badges.", "Visitors and admins get two badges."),
    ("Two badges are given solely to admins.", "Two badges are given to every visitor."),
    ("Two badges are given exclusively to admins.", "Two badges are given to visitors and admins."),
    ("Admins alone get two badges.", "Visitors and admins get two badges."),
    ("Everyone gets two badges.", "Only admins get two badges."),
    ("Visitors get two badges.", "Only admins get two badges."),
    ("Anyone may use the room.", "Only staff may use the room."),
    ("All employees may deploy.", "Only senior engineers may deploy."),
    ("Engineers may deploy.", "Only senior engineers may deploy."),
    ("Only visitors get two badges.", "Only admins get two badges."),
    ("Only admins get two badges.", "Admins get only two badges."),
    ("The gym is open only on weekdays.", "The gym is open on weekdays and at weekends."),
    ("The gym is open.", "The gym is open only on weekdays."),
    ("Bikes are allowed.", "Bikes are only allowed in the yard."),
    ("Bikes are allowed everywhere.", "Bikes are only allowed in the yard."),
    ("Everyone may vote.", "Everyone except contractors may vote."),
    ("Contractors may vote.", "Everyone except contractors may vote."),
    ("Everyone except interns may vote.", "Everyone may vote."),
    ("You may park here.", "You may park here unless the barrier is down."),
    ("You may park here unless it rains.", "You may park here."),
    ("Leave is granted, except in December.", "Leave is granted all year."),
    ("Travel may be approved by assistants.", "Travel may be approved solely by managers."),
    ("Refunds are limited to members.", "Members and guests get refunds."),
    ("The room is reserved for managers.", "The room may be used by managers and staff."),
    ("Travel is approved exclusively by managers.", "Travel is approved by managers or by the office."),
    ("Nobody but admins gets two badges.", "Visitors and admins get two badges."),
    ("Apart from managers, no staff get a phone.", "All staff get a phone."),
    ("Parking is free other than on Sundays.", "Parking is free."),
    ("The card works.", "The card works exclusively at the main gate."),
    ("Guests may swim.", "No one but members may swim."),
]
TRUE_DE: list[Pair] = [
    ("Alle Besucher erhalten zwei Ausweise.", "Alle Besucher erhalten zwei Ausweise."),
    ("Nur Administratoren erhalten zwei Ausweise.", "Nur Administratoren erhalten zwei Ausweise."),
    ("Administratoren erhalten zwei Ausweise.", "Nur Administratoren erhalten zwei Ausweise."),
    ("Zwei Ausweise erhalten nur Administratoren.", "Nur Administratoren erhalten zwei Ausweise."),
    ("Zwei Ausweise erhalten ausschließlich Administratoren.", "Zwei Ausweise erhalten nur Administratoren."),
    ("Die Halle ist werktags geöffnet.", "Die Halle ist nur werktags geöffnet."),
    ("Zutritt gibt es nur mit Ausweis.", "Ohne Ausweis gibt es keinen Zutritt, auch wenn es eilt."),
    ("Alle außer Praktikanten dürfen abstimmen.", "Alle außer Praktikanten dürfen abstimmen."),
    ("Praktikanten dürfen nicht abstimmen.", "Alle außer Praktikanten dürfen abstimmen."),
    ("Das gilt nicht nur für Leiter.", "Das gilt für alle, nicht nur für Leiter."),
    ("Der Aufzug ist außer Betrieb.", "Der Aufzug ist defekt."),
    ("Reisen genehmigen Leiter.", "Reisen genehmigen ausschließlich Leiter."),
    ("Der Raum ist Mitarbeitern vorbehalten.", "Der Raum ist nur für Mitarbeiter."),
    ("Briefe kommen in den Kasten.", "Nur Briefe kommen in den Kasten."),
]
FALSE_DE: list[Pair] = [
    ("Nur Administratoren erhalten zwei Ausweise.", "Alle Besucher erhalten zwei Ausweise."),
    ("Ausschließlich Administratoren erhalten zwei Ausweise.", "Besucher erhalten zwei Ausweise."),
    ("Lediglich Administratoren erhalten zwei Ausweise.", "Alle Besucher erhalten zwei Ausweise."),
    ("Alle erhalten zwei Ausweise.", "Nur Administratoren erhalten zwei Ausweise."),
    ("Besucher erhalten zwei Ausweise.", "Nur Administratoren erhalten zwei Ausweise."),
    ("Nur Besucher erhalten zwei Ausweise.", "Nur Administratoren erhalten zwei Ausweise."),
    ("Die Halle ist nur werktags geöffnet.", "Die Halle ist werktags und am Wochenende geöffnet."),
    ("Die Halle ist geöffnet.", "Die Halle ist nur am Wochenende geöffnet."),
    ("Jeder darf abstimmen.", "Jeder außer Praktikanten darf abstimmen."),
    ("Praktikanten dürfen abstimmen.", "Alle außer Praktikanten dürfen abstimmen."),
    ("Alle außer Praktikanten dürfen abstimmen.", "Alle dürfen abstimmen."),
    ("Urlaub gibt es, ausgenommen im Dezember.", "Urlaub gibt es das ganze Jahr."),
    ("Sie dürfen hier parken.", "Sie dürfen hier parken, es sei denn, die Schranke ist unten."),
    ("Reisen genehmigen allein Leiter.", "Reisen genehmigen Leiter oder das Büro."),
    ("Der Raum ist Leitern vorbehalten.", "Der Raum ist für alle Mitarbeiter."),
    ("Rabatt ist auf Mitglieder beschränkt auf Dauer.", "Rabatt bekommen Mitglieder und Gäste."),
]


@pytest.mark.parametrize(("claim", "sentence"), TRUE_EN)
def test_same_restriction_in_english_is_accepted(claim: str, sentence: str) -> None:
    assert not restricted(claim, sentence, "en")


@pytest.mark.parametrize(("claim", "sentence"), FALSE_EN)
def test_english_restriction_is_detected(claim: str, sentence: str) -> None:
    assert restricted(claim, sentence, "en")


@pytest.mark.parametrize(("claim", "sentence"), TRUE_DE)
def test_same_restriction_in_german_is_accepted(claim: str, sentence: str) -> None:
    assert not restricted(claim, sentence, "de")


@pytest.mark.parametrize(("claim", "sentence"), FALSE_DE)
def test_german_restriction_is_detected(claim: str, sentence: str) -> None:
    assert restricted(claim, sentence, "de")


def restricted(claim: str, sentence: str, language: Language) -> bool:
    return restricts_otherwise(claim, [sentence], language)


def test_exclusion_can_be_in_the_next_sentence() -> None:
    claim, sentence = "Only admins are issued two badges.", "Two badges are issued to admins."
    assert not restricts_otherwise(claim, [sentence, "Nobody else gets a second one."], "en")
    assert restricts_otherwise(claim, [sentence], "en")


def test_claim_parts_are_compared_with_their_sentences() -> None:
    sentences = ["Only admins get two badges.", "Visitors get one badge at the gate."]
    assert not restricts_otherwise(
        "Only admins get two badges, and visitors get one badge at the gate.", sentences, "en"
    )
    assert restricts_otherwise(
        "Admins get two badges, and only visitors get one badge at the gate.", sentences, "en"
    )


def test_claim_in_another_language_is_compared_by_common_restrictions() -> None:
    assert not restricts_otherwise(
        "Nur Administratoren bekommen zwei Ausweise.", ["Only admins get two badges."], "en"
    )
    assert restricts_otherwise(
        "Nur Administratoren bekommen zwei Ausweise.", ["All visitors get two badges."], "en"
    )
