"""Sentences that add nothing to their question, and short ones that answer it."""

import pytest

from retrieval.answering.grounding.substance import adds_something
from retrieval.answering.text.lexicon import language_of

NOTHING = [
    ("Who can see my conversations?", "The answers to the questions are in the answers to the questions."),
    ("How do I upload documents?", "The answers to the questions are in the answers to the questions."),
    (
        "How do I upload documents?",
        "The answers to the questions are the answers to the questions in the documents.",
    ),
    ("How do I upload documents?", "You can upload documents."),
    ("How do I upload documents?", "Documents are uploaded by uploading documents."),
    ("How do I upload documents?", "To upload documents, you must upload the documents."),
    ("How do I upload documents?", "Uploading files is done by uploading files."),
    ("Who can see my conversations?", "A conversation is just a conversation, but a conversation."),
    ("Who can see my conversations?", "The people who can see it are the people who can see it."),
    ("Who shares my conversations?", "Your conversations are shared."),
    ("What is a knowledge base?", "A knowledge base is a base of knowledge."),
    ("What is a knowledge base?", "The knowledge base is the knowledge base."),
    ("When does the canteen close?", "The canteen closes when it closes."),
    ("Where is the canteen?", "The canteen is where it is."),
    ("How many days of leave do I get?", "You get days of leave."),
    ("How many days of leave do I get?", "The number of days is the number of days."),
    ("Why was my upload refused?", "Your upload was refused."),
    ("What are the rules for travel?", "These are the rules for travel."),
    ("Which form do I need?", "You need the form."),
    ("For how long is the offer valid?", "The offer is valid for that long that long."),
    ("Is parking free?", "It is what it is."),
    ("Is parking free?", "A rule is a rule."),
    ("Is parking free?", "That is that."),
    ("What is Cairn?", "Cairn, Cairn, Cairn."),
    ("Wann schließt die Kantine?", "Die Kantine schließt."),
    ("Wer darf meine Gespräche teilen?", "Die Gespräche darf man teilen."),
    ("Wie lade ich Dokumente hoch?", "Die Antworten auf die Fragen sind die Antworten auf die Fragen."),
    ("Wie viele Urlaubstage bekomme ich?", "Die Anzahl ist die Anzahl."),
    ("Welches Formular brauche ich?", "Sie brauchen das Formular."),
]
ANSWERS = [
    ("How many days of leave may I carry over?", "Yes, up to 20 days."),
    ("How many days of leave may I carry over?", "Twenty days."),
    ("When does the canteen close?", "On Friday."),
    ("When does the canteen close?", "At 2 pm."),
    ("When does the canteen close?", "The canteen never closes."),
    ("When does the canteen close?", "The canteen does not close."),
    ("Who can see my conversations?", "Only you can see your conversations."),
    ("Who can see my conversations?", "Only you."),
    ("Who can see my conversations?", "You can."),
    ("Who can see my conversations?", "Nobody."),
    ("Who approves leave?", "Anna."),
    ("Whose laptop is it?", "It is your laptop."),
    ("Who reports to whom?", "Anna reports to Bob, and Bob reports to Anna."),
    ("Who approves leave, Anna or Bob?", "Anna approves leave."),
    ("Which is free, the car park or the garage?", "The garage is free."),
    ("Is parking free?", "Yes."),
    ("Is parking free?", "No."),
    ("Is parking free?", "Parking is free."),
    ("Can employees donate leave?", "Employees can donate leave."),
    ("Do you know whether employees can donate leave?", "Employees can donate leave."),
    ("Tell me if parking is free.", "Parking is free."),
    ("What do readers see?", "Your questions and the answers."),
    ("What do I need?", "The key."),
    ("What must I follow?", "The rules."),
    ("How do I get in?", "With your badge."),
    ("How do I pay?", "In cash."),
    ("What is the port?", "8000."),
    ("How often is it backed up?", "Every day."),
    ("How often is it backed up?", "Twice."),
    ("When must I pay, before the trip?", "After the trip."),
    ("Where do I sign?", "Below."),
    ("When is the fair?", "In May."),
    ("When is the fair?", "May."),
    ("Where is the office?", "It is in the US."),
    ("Which team do I call?", "IT."),
    ("How many days are 2 weeks?", "2 weeks are 14 days."),
    ("What is a knowledge base?", "A knowledge base is a collection of documents."),
    ("How do I upload documents?", "Drop files onto the page, or choose files."),
    ("What are day rates?", "The day rate is 20 euros a day, the night rate 30 euros a night."),
    ("Which rate applies?", "The day rate applies by day, and the night rate by night."),
    ("Wann schließt die Kantine?", "Um 14 Uhr."),
    ("Wann schließt die Kantine?", "Am Freitag."),
    ("Wann schließt die Kantine?", "Nie."),
    ("Wer darf meine Gespräche sehen?", "Nur Sie."),
    ("Wer darf meine Gespräche sehen?", "Niemand."),
    ("Gilt die Regel für Werkstudenten?", "Die Regel gilt für Werkstudenten."),
    ("Gilt die Regel für Werkstudenten?", "Ja."),
    ("Darf ich meinen Hund mitbringen?", "Nein, nur am Freitag."),
    ("Ist das kostenlos?", "Das ist kostenlos."),
    ("Wie viele Urlaubstage bekomme ich?", "30 Tage."),
    ("Wie viele Urlaubstage bekomme ich?", "Dreißig."),
]


@pytest.mark.parametrize(("question", "sentence"), NOTHING)
def test_repeated_words_add_nothing(question: str, sentence: str) -> None:
    assert not adds_something(sentence, question, language_of(question))


@pytest.mark.parametrize(("question", "sentence"), ANSWERS)
def test_short_answers_add_information(question: str, sentence: str) -> None:
    assert adds_something(sentence, question, language_of(question))
