"""A sentence that differs from its passage in one number, name, date, denial or limit is not supported."""

from collections import Counter
from random import Random

from retrieval.answering.grounding.check import SentenceChecker
from retrieval.answering.prompts.evidence import build_passages
from tests.fakes import FakeEmbedder
from tests.retrieval.answering.builders import make_hit
from tests.retrieval.answering.changes import changes_of

MAX_ACCEPTED = 0.01
CHANGES = 500
# From the operations documentation of the Foundation for Public Code (CC0 1.0).
SENTENCES = (
    "Decision on making an offer is made after third interview. 10.",
    "We also organize a community call focused on the Foundation for Public Code every third Thursday of the month.",  # noqa: E501
    "We received the third installment of a three year gift from the DC Butterfield and AD Rubio Memorial Foundation, for which we’re exceptionally grateful.",  # noqa: E501
    "We aim to hold sessions monthly on the second Thursday of the month, but may skip them if the schedule is too tight.",  # noqa: E501
    "They process and book all the payments every second Wednesday of the month.",
    "On 3 June 2019, a notice was received from the Tax Office/Registration and Succession in 's-Hertogenbosch that the Foundation for Public Code Vereniging has been designated as an ANBI.",  # noqa: E501
    "The Foundation for Public Code was established on June 3, 2019 and is registered in the Commercial Register of the Chamber of Commerce under number 74996452.",  # noqa: E501
    "The founding principles were adopted by the Board of Directors on 23 August 2019.",
    "The association’s financial year is the same as a calendar year, except for the first financial year which runs from 3 June 2019 to 31 December 2020.",  # noqa: E501
    "The contract ends on 30 June 2021 with the possibility of extending it on a month-to-month basis until the building is rented again.",  # noqa: E501
    "The founding principles were adopted by the board of directors on 23 August 2019.",
    "The Foundation for Public Code received a philanthropic gift from Arnout Schuijff in 2020 to be distributed over 4 years.",  # noqa: E501
    "The first financial year ends on 31 December 2020.",
    "We held 20 community calls in 2021, covering the Standard for Public Code and the Foundation for Public Code’s work.",  # noqa: E501
    "For the preparation of the annual report and financial statements, we used the 650 Fundraising Organizations guideline of the Dutch Council for Annual Reporting (RJ) as issued in RJ-Uiting 2016.",  # noqa: E501
    "The policy plan should be concise (about three (3) pages), in line with the association's (board's) efforts to operate in an agile way.",  # noqa: E501
    "The general assembly must be convened with at least three (3) weeks’ notice.",
    "The notice period is at least eight (8) days, excluding the day of the notice and the day on which the meeting is held.",  # noqa: E501
    "The books, documents and other data carriers of the dissolved association must be kept for seven (7) years after the end of the liquidation.",  # noqa: E501
    "Directors are appointed for a period of four (4) years, unless otherwise decided upon at the time of appointment.",  # noqa: E501
    "The communications team will probably tweak your post to be more successful - this is not a reflection on your abilities as a writer. 8.",  # noqa: E501
    "The channels should make it easier for someone in a different time zone to catch up with relevant conversations. 3.",  # noqa: E501
    "When the show is over start the outro video and quickly press Stop recording. 15.",
    "Decide who will be the next guest 1.",
    "The chair should be on the call 5 minutes before the call starting time.",
    "The gross annual salary of the Chief Executive of the Foundation for Public Code is 78,000 EUR (including vacation pay - 1 FTE / 12 months).",  # noqa: E501
    "This is a full time role (40 hours/week) in our main offices in Amsterdam, the Netherlands.",
    "Because KBFUS is a public charity, within the meaning of Sections 501(c)(3) and 509(a)(1) of the U.S.",
    "Foundation for Public Code staff are always paid while sick (100% the first year of sickness and 70% the second year).",  # noqa: E501
    "Leveraging 30 combined years of experience working with cities and technology-enabled collaboration, Boris and Ben recognized policy and whitepapers were ineffective catalysts in this space.",  # noqa: E501
    "If they do not agree, a short discussion follows and a consensus is reached. 4.",
    "Repayment obligations within 12 months after the end of the financial year are not included in the above amounts but are included under current liabilities.",  # noqa: E501
    "The Foundation for Public Code is not for profit, as is clear from the work it does and its bylaws.",
    "The Foundation for Public Code does not do work to benefit affiliates unless that work is for the direct benefit of public organizations.",  # noqa: E501
    "An issue can contain a proposed fix, but does not have to.",
    "The operations coordinator will send you an invitation. 2.",
    "If the audit makes discoveries that can be addresses, create issues for those in the repository for the codebase, preferably by encouraging the maintainer to do so. 5.",  # noqa: E501
    "The advisory board will meet as often as the board of directors or one of its members deems necessary, but in any event twice (2) a year.",  # noqa: E501
    "Floris will refine the illustrations you both agree are most promising to the format you need them. 6.",
    "A member may act as a proxy for no more than one (1) other member.",
    "Operations coordinator will contact the candidate to inform them. 6.",
    "The admin can approve and set permissions for the user 5.",
    "The annual accounts will be drawn up and signed by the board of directors (bestuur) and adopted (vastgesteld) by the general assembly (articles 26 and 27 of the association bylaws).",  # noqa: E501
    "The review or certification will happen within 2 business days to enable agile development and not block users and maintainers from making progress.",  # noqa: E501
    "Floris will do work his magic: produce sketches free associating on your idea. 4.",
)


def check_sentence(sentence: str, original: str) -> bool:
    evidence = build_passages([make_hit(original, title="Operations")], budget=10_000, count_tokens=len)
    checker = SentenceChecker(evidence, FakeEmbedder(), question="What are the rules?", reason_language="en")
    return bool(checker.check(sentence, [1]).grounds)


def test_accepts_every_unchanged_sentence() -> None:
    assert [sentence for sentence in SENTENCES if not check_sentence(sentence, sentence)] == []


def test_rejects_changed_sentences() -> None:
    random = Random(5)
    changes = {
        change.text: change
        for _ in range(12)
        for sentence in SENTENCES
        for change in changes_of(sentence, sentence, random)
    }
    chosen = list(changes.values())[:CHANGES]
    accepted = [change for change in chosen if check_sentence(change.text, change.original)]
    assert len(chosen) == CHANGES
    assert len(Counter(change.kind for change in chosen)) > 8
    assert len(accepted) <= MAX_ACCEPTED * CHANGES, accepted
