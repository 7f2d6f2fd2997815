import pytest

from retrieval.answering.grounding.names import unsupported_names


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("Ask Dana Whitfield in Payroll.", "Dana Whitfield works in payroll."),
        ("The form goes to TTS.", "Send it to tts@example.org, the TTS's address."),
        ("Employees ask for it.", "Staff may ask."),
        ("You can use Figma's plugins.", "Figma has plugins."),
        ("Log in at https://vltp.gsa.gov/.", "Go to vltp.gsa.gov and log in."),
        ("Run `make up` first.", "First run make up."),
        ("Write to a@b.example.", "Mail: a@b.example"),
        ("Use GS-13 or SF-50.", "GS-13, SF-50"),
        ("- **Register Now** is the button", "the Register Now button"),
        ("It takes 24-hour notice and 5GB.", ""),
        ("He said: Then it works.", ""),
    ],
)
def test_names_are_in_the_evidence(claim: str, evidence: str) -> None:
    assert unsupported_names(claim, evidence, "en") == ()


@pytest.mark.parametrize(
    ("claim", "evidence", "missing"),
    [
        ("Ask Alex Whitfield.", "Dana Whitfield", "Alex"),
        ("Dana Smith decides.", "Dana Whitfield decides.", "Smith"),
        ("The rate in Boise is low.", "The rate in Denver is low.", "Boise"),
        ("Ask the NASTRA.", "Ask the board.", "NASTRA"),
        ("Use GS-13.", "Use GS-12.", "GS-13"),
        ("Open evil.example/x.", "Open good.example/x.", "evil.example"),
        ("Set max_tokens to it.", "Set maxTokens to it.", "max_tokens"),
        ("Post it in #admins-figma.", "Post it in #admins-slack.", "#admins-figma"),
    ],
)
def test_finds_names_that_the_evidence_lacks(claim: str, evidence: str, missing: str) -> None:
    assert missing in unsupported_names(claim, evidence, "en")


def test_german_nouns_are_not_checked_as_names_but_people_are() -> None:
    evidence = "Den Antrag prüft Frau Weber."
    assert unsupported_names("Der Bescheid kommt von Frau Weber.", evidence, "de") == ()
    assert unsupported_names("Der Bescheid kommt von Frau Schulz.", evidence, "de") == ("Schulz",)
