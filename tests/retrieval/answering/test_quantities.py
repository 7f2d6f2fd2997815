import pytest

from retrieval.answering.grounding.quantities import conflicting_figures, unsupported_figures


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("1,000 dollars", "It is $1000."),
        ("$1,000", "1.000 US$ oder 1000 USD"),
        ("four weeks", "4 weeks"),
        ("4 weeks", "four weeks"),
        ("twenty-four hours", "a 24-hour period"),
        ("10 days", "within 10 business days"),
        ("3 million euros", "€3,000,000"),
        ("2.5 %", "2,5 Prozent"),
        ("50 percent", "50%"),
        ("March 31, 2024", "until 31 March 2024"),
        ("March 31", "31.03.2024"),
        ("2024-03-31", "March 31, 2024"),
        ("in 2024", "on March 31, 2024"),
        ("on March 5", "March 3-5"),
        ("March 5-12", "March 5 to 12"),
        ("March 5 to 12", "from March 5 until March 12"),
        ("5.–12. März", "vom 5. bis 12. März"),
        ("9:30 a.m.", "at 9:30am"),
        ("9 am", "9:00 a.m."),
        ("24 hours", "Hours | 24"),
        ("12 items", "12"),
        ("Only one of them", "Some of them"),
        ("The 3rd floor", "on floor 3"),
        ("each Monday", "jeden Montag"),
        ("in March", "31.03.2024"),
        ("You may march on", "You can walk on"),
        ("annual leave", "leave each year"),
        ("no figures", ""),
    ],
)
def test_equal_figures_are_supported(claim: str, evidence: str) -> None:
    assert unsupported_figures(claim, evidence) == ()


@pytest.mark.parametrize(
    ("claim", "evidence", "missing"),
    [
        ("25 days", "24 days", "25 days"),
        ("25 days x 12 = 250", "25 days a month, 12 months", "250"),
        ("24 days", "24 hours", "24 days"),
        ("$5", "5 €", "$5"),
        ("5%", "5 days", "5%"),
        ("five weeks", "4 weeks", "5 weeks"),
        ("March 30", "March 31", "March 30"),
        ("March 5-12", "March 5", "March 5-12"),
        ("March 5-12", "March 5, April 12", "March 5-12"),
        ("March 5 to 10", "March 5 to 12", "March 5 to 10"),
        ("5²7 days", "5 days", "7 days"),
        ("until March 31./¹0", "until March 31", "0"),
        ("March 31, 2025", "March 31, 2024", "March 31, 2025"),
        ("March 31, 2024", "March 31", "March 31, 2024"),
        ("5 p.m.", "5 a.m.", "5 p.m."),
        ("1,500 dollars", "150 dollars", "1,500 dollars"),
        ("3 million dollars", "3 thousand dollars", "3 million dollars"),
        ("12 items", "", "12"),
        ("12 items", "GS-12", "12"),
        ("The end.25", "The end.", "25"),
        ("each Friday", "each Monday", "Friday"),
        ("jeden Montag", "jeden Freitag", "Montag"),
        ("open in June", "open in July", "June"),
        ("open in May", "open in March", "May"),
        ("25 hours a week", "25 hours each month", "a week"),
        ("paid monthly", "paid weekly", "monthly"),
    ],
)
def test_finds_figures_that_the_evidence_lacks(claim: str, evidence: str, missing: str) -> None:
    assert missing in unsupported_figures(claim, evidence)


@pytest.mark.parametrize(
    ("claim", "sentence", "other"),
    [
        ("They earn 5 days.", "They earn 25 days.", ("5 days",)),
        ("They earn 25 days, carry over 5 days.", "They earn 25 days.", ()),
        ("They earn 5 days.", "They earn 25 hours.", ()),
        ("They earn 5.", "They earn 25.", ()),
    ],
)
def test_replaced_figures_are_found(claim: str, sentence: str, other: tuple[str, ...]) -> None:
    assert conflicting_figures(claim, sentence) == other


@pytest.mark.parametrize("digits", ["9" * 50_000, "1,234," * 5_000, "1-" * 5_000, "12:" * 5_000])
def test_survives_hostile_digits(digits: str) -> None:
    unsupported_figures(digits, digits)
