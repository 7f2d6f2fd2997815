"""Parsing of mails: headers, text, quoted replies, attachments and sections."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from uuid import uuid4

import pytest

from cairn.errors import DocumentRejected, Rejection
from cairn.library.rendition import Rendition
from ingestion.parse.core.limits import Limits
from ingestion.parse.mail import mime
from ingestion.parse.mail.parts import MOST_ATTACHMENTS
from ingestion.parse.sandbox.pool import Parsed, ParserPool
from tests.ingestion.parse.conftest import Read

EARLIER = "Earlier message"
HEAD = "From: Ada <ada@example.org>\nTo: Bob <bob@example.org>\nSubject: Budget\n"


@dataclass
class Mail:
    """A mail's file, and what the parser process makes of it."""

    path: Path
    pool: ParserPool

    @cached_property
    def parsed(self) -> Parsed:
        return self.pool.parse(self.path, "mail.eml", limits=Limits())

    def part(self, place: int, **limits: int) -> bytes:
        return self.pool.part(self.path, "mail.eml", place, limits=Limits(**limits))


Mailed = Callable[..., Mail]


@pytest.fixture
def mailed(pool: ParserPool, tmp_path: Path) -> Mailed:
    def _mailed(content: str | bytes, head: str = HEAD) -> Mail:
        path = tmp_path / f"{uuid4()}.eml"
        data = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(head.encode() + data)
        return Mail(path, pool)

    return _mailed


def parsed(mail: Mail) -> Rendition:
    return mail.parsed.rendition


def own(rendition: Rendition) -> list[str]:
    """The texts below the head that are not of an earlier mail."""
    return [element.text for element in rendition.elements[1:] if EARLIER not in _path(element)]


def earlier(rendition: Rendition) -> list[str]:
    return [element.text for element in rendition.elements if EARLIER in element.section]


def _path(element: object) -> tuple[str, ...]:
    section: tuple[str, ...] = element.section  # type: ignore[attr-defined]
    return (*section, element.text)  # type: ignore[attr-defined]


def test_mail_header_becomes_text_and_properties(mailed: Mailed) -> None:
    read = parsed(mailed("Cc: Eve <eve@example.org>\nDate: Tue, 3 Mar 2026 09:05:00 +0100\n\nHello Bob.\n"))
    assert read.title == "Budget"
    assert read.properties == {
        "from": "Ada <ada@example.org>",
        "to": "Bob <bob@example.org>",
        "cc": "Eve <eve@example.org>",
        "date": "2026-03-03T09:05:00+01:00",
        "subject": "Budget",
    }
    assert read.elements[0].text.splitlines() == [
        "From: Ada <ada@example.org>",
        "To: Bob <bob@example.org>",
        "Cc: Eve <eve@example.org>",
        "Date: Tue, 3 Mar 2026 09:05:00 +0100",
        "Subject: Budget",
    ]
    assert own(read) == ["Hello Bob."]


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        (b"=?utf-8?B?UsOpc3Vtw6k=?=", "Résumé"),
        (b"=?iso-8859-1?Q?caf=E9?= and =?koi8-r?B?z8vO?=", "café and окн"),
        (b"=?utf-8?Q?=E2=82?=\n =?utf-8?Q?=AC_100?=", "€ 100"),
        ("Grüße".encode(), "Grüße"),
        ("Grüße aus Köln".encode("cp1252"), "Grüße aus Köln"),
        (b"=?no-such-charset?Q?plain_words?=", "plain words"),
        (b"=?utf-8?B?not base64 at all", "=?utf-8?B?not base64 at all"),
        (b"over\n two\n\tlines", "over two lines"),
        (b"nul\x00 and \x1b[31mred", "nul and [31mred"),
    ],
)
def test_subjects_are_decoded_and_cleaned(mailed: Mailed, subject: bytes, shown: str) -> None:
    body = b"\n\n" + b"Many words follow. " * 20
    assert parsed(mailed(b"Subject: " + subject + body, head="From: a@b\n")).title == shown


@pytest.mark.parametrize(
    ("date", "iso"),
    [("Tue, 3 Mar 2026 09:05 GMT", "2026-03-03T09:05:00+00:00"), ("yesterday", None), ("99 Foo 1", None)],
)
def test_invalid_date_is_shown_without_a_property(mailed: Mailed, date: str, iso: str | None) -> None:
    read = parsed(mailed(f"Date: {date}\n\nText.\n"))
    assert read.properties.get("date") == iso
    assert f"Date: {date}" in read.elements[0].text


def test_long_mail_headers_are_cut(mailed: Mailed) -> None:
    people = ", ".join(f"person-{number}@example.org" for number in range(2000))
    read = parsed(mailed(f"Cc: {people}\n\nText.\n"))
    assert len(read.properties["cc"]) == 1000
    assert read.properties["cc"].endswith("…")


@pytest.mark.parametrize(
    ("charset", "encoded_as"),
    [
        ("utf-8", "utf-8"), ("windows-1252", "cp1252"), ("iso-8859-1", "cp1252"), ("us-ascii", "utf-8"),
        ("x-unknown", "utf-8"), ("", "utf-8"), ("utf-16", "utf-16"), ("base64", "utf-8"),
    ],
)  # fmt: skip
def test_mail_text_is_decoded_despite_a_wrong_charset(mailed: Mailed, charset: str, encoded_as: str) -> None:
    text = "Der Preis beträgt 100 € für “alle” Gäste."
    declared = f'Content-Type: text/plain; charset="{charset}"\nContent-Transfer-Encoding: base64\n\n'
    assert own(parsed(mailed(declared.encode() + b64encode(text.encode(encoded_as))))) == [text]


@pytest.mark.parametrize(
    ("charset", "encoded_as", "text"),
    [
        ("iso-8859-8-i", "iso-8859-8", "שלום וברכה"),
        ("windows-1255", "cp1255", "שלום וברכה"),
        ("gb2312", "gb18030", "你好世界。"),
        ("ks_c_5601-1987", "cp949", "안녕하세요"),
        ("iso-2022-jp", "iso-2022-jp", "こんにちは"),
        ("koi8-r", "koi8-r", "Здравствуйте"),
    ],
)
def test_scripts_of_the_world(mailed: Mailed, charset: str, encoded_as: str, text: str) -> None:
    declared = f"Content-Type: text/plain; charset={charset}\n\n"
    assert own(parsed(mailed(declared.encode() + text.encode(encoded_as)))) == [text]


def multipart(kind: str, *parts: str) -> str:
    body = "".join(f"--b\n{part}\n" for part in parts)
    return f'MIME-Version: 1.0\nContent-Type: multipart/{kind}; boundary="b"\n\n{body}--b--\n'


PLAIN = "Content-Type: text/plain\n\nPlain words.\n"
PAGE = "Content-Type: text/html\n\n<h1>Rich</h1><table><tr><th>A<th>B</tr><tr><td>1<td>2</tr></table>\n"


def test_html_alternative_is_preferred(mailed: Mailed) -> None:
    read = parsed(mailed(multipart("alternative", PLAIN, PAGE)))
    assert "Plain words." not in own(read)
    assert [element.category for element in read.elements[1:]] == ["Title", "Table"]
    assert read.elements[2].section == ("Rich",)
    assert read.report.tables == 1


def test_empty_html_falls_back_to_plain_text(mailed: Mailed) -> None:
    empty = "Content-Type: text/html\n\n<img src=cid:x>\n"
    assert own(parsed(mailed(multipart("alternative", PLAIN, empty)))) == ["Plain words."]


def test_text_around_attachments_is_preserved(mailed: Mailed) -> None:
    file = "Content-Type: application/pdf\nContent-Disposition: attachment; filename=a.pdf\n\nx\n"
    read = parsed(mailed(multipart("mixed", PLAIN, file, "Content-Type: text/plain\n\nAnd more.\n")))
    assert own(read) == ["Plain words.", "And more."]
    assert read.elements[0].text.splitlines()[-1] == "Attachments: a.pdf"


def test_quoted_printable_and_base64_are_undone(mailed: Mailed) -> None:
    quoted = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n"
    quoted += "\na=C3=A4=\nb\n"
    coded = "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nd29yZHM=\n"
    assert own(parsed(mailed(multipart("mixed", quoted, coded)))) == ["aäb", "words"]


def test_flowed_text_is_joined(mailed: Mailed) -> None:
    head = "Content-Type: text/plain; format=flowed; delsp=no\n\n"
    body = "One sentence \ngoes on here.\n\n From the start.\n> quoted \n> on\n-- \nAda\n"
    read = parsed(mailed(head + body))
    assert own(read) == ["One sentence goes on here.", "From the start.", "-- \nAda"]
    assert earlier(read) == ["quoted on"]


REPLY = """Yes, let us do that.

On Tue, Mar 3, 2026 at 9:05 AM Bob
<bob@example.org> wrote:

> Shall we raise the budget?
>
> > What is it now?

Best,
Ada
"""


def test_quoted_text_has_its_own_section(mailed: Mailed) -> None:
    read = parsed(mailed("\n" + REPLY))
    assert own(read) == ["Yes, let us do that.", "Best,\nAda"]
    assert earlier(read) == [
        "On Tue, Mar 3, 2026 at 9:05 AM Bob\n<bob@example.org> wrote:",
        "Shall we raise the budget?",
        "What is it now?",
    ]


@pytest.mark.parametrize(
    "divider",
    [
        "-----Original Message-----\nFrom: Bob",
        "-----Ursprüngliche Nachricht-----\nVon: Bob",
        "---------- Forwarded message ---------\nFrom: Bob",
        "________________________________\nFrom: Bob\nSent: Tuesday\nTo: Ada\nSubject: Budget",
        "Von: Bob\nGesendet: Dienstag\nAn: Ada\nBetreff: Etat",
        "De : Bob\nEnvoyé : mardi\nÀ : Ada\nObjet : Budget",
    ],
)
def test_text_below_a_divider_is_quoted_text(mailed: Mailed, divider: str) -> None:
    read = parsed(mailed(f"\nSee below.\n\n{divider}\n\nThe question.\n\nIts end.\n"))
    assert own(read) == ["See below."]
    assert earlier(read)[-2:] == ["The question.", "Its end."]


def test_ordinary_line_is_not_a_divider(mailed: Mailed) -> None:
    text = "From: the desk of Ada\n\nShe wrote:\n\nOn Monday we meet."
    assert own(parsed(mailed(f"\n{text}\n"))) == text.split("\n\n")


OUTLOOK = (
    "<div><p>My answer.</p><div><p><b><span>From:</span></b> Bob<br><b>Sent:</b> Tuesday<br>"
    "<b>To:</b> Ada<br><b>Subject:</b> Budget</p></div><p>The question.</p></div>"
)


@pytest.mark.parametrize(
    "page",
    [
        '<p>My answer.</p><div class="gmail_quote">Bob wrote:<blockquote>The question.</blockquote></div>',
        '<p>My answer.</p><blockquote type="cite"><p>The question.</p></blockquote>',
        '<p>My answer.</p><div class="yahoo_quoted"><p>The question.</p></div>',
        '<p>My answer.</p><div id="divRplyFwdMsg"><b>From:</b> Bob</div><div>The question.</div>',
        OUTLOOK,
    ],
)
def test_html_quotes_are_quoted_text(mailed: Mailed, page: str) -> None:
    read = parsed(mailed(f"Content-Type: text/html\n\n<html><body>{page}</body></html>\n"))
    assert own(read) == ["My answer."]
    assert any("The question." in text for text in earlier(read))


def test_replies_between_quotes_are_own_text(mailed: Mailed) -> None:
    page = (
        '<p>See below.</p><blockquote type="cite">First?</blockquote><p>Yes.</p>'
        '<blockquote type="cite">Second?</blockquote><p>No.</p>'
    )
    read = parsed(mailed(f"Content-Type: text/html\n\n{page}\n"))
    assert own(read) == ["See below.", "Yes.", "No."]
    assert earlier(read) == ["First?", "Second?"]


FOOTER = """_______________________________________________
Staff mailing list
staff@lists.example.org
https://lists.example.org/staff
"""


def test_mailing_list_footer_is_removed_only_from_list_mails(mailed: Mailed) -> None:
    body = f"\nThe canteen opens.\n{FOOTER}"
    assert own(parsed(mailed(f"List-Id: <staff.lists.example.org>\n{body}"))) == ["The canteen opens."]
    assert len(own(parsed(mailed(body)))) == 1
    assert "mailing list" in own(parsed(mailed(body)))[0]


def test_mailing_list_footer_in_its_own_part_is_removed(mailed: Mailed) -> None:
    parts = multipart("mixed", PLAIN, f"Content-Type: text/plain\n\n{FOOTER}")
    assert own(parsed(mailed(f"List-Id: <staff>\n{parts}"))) == ["Plain words."]


def test_mail_without_a_body_has_its_header(mailed: Mailed) -> None:
    assert [element.text for element in parsed(mailed("\n")).elements] == [HEAD.strip()]


def test_empty_mail_has_no_text(mailed: Mailed) -> None:
    with pytest.raises(DocumentRejected) as caught:
        parsed(mailed("Received: by nobody\n\n", head=""))
    assert caught.value.reason is Rejection.NO_TEXT


@pytest.mark.parametrize(
    "kind",
    ["multipart/encrypted; protocol=pgp; boundary=b", "application/pkcs7-mime; smime-type=enveloped-data"],
)
def test_encrypted_mail_is_reported(mailed: Mailed, kind: str) -> None:
    with pytest.raises(DocumentRejected) as caught:
        parsed(mailed(f"Content-Type: {kind}\n\n--b\n\nx\n--b--\n"))
    assert caught.value.reason is Rejection.PASSWORD_PROTECTED


@pytest.mark.parametrize(
    "broken",
    [
        "Content-Type: multipart/mixed\n\nNo boundary here.\n",
        'Content-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/plain\n\nNo boundary here.\n',
        "Content-Type: ;;;=\n\nNo boundary here.\n",
        "Content-Transfer-Encoding: base65\n\nNo boundary here.\n",
        'Content-Type: text/plain; charset="\n\nNo boundary here.\n',
    ],
)
def test_broken_structure_does_not_lose_the_text(mailed: Mailed, broken: str) -> None:
    assert own(parsed(mailed(broken))) == ["No boundary here."]


def attachment(name: str, content: str = "x", kind: str = "application/octet-stream", more: str = "") -> str:
    return f'Content-Type: {kind}\nContent-Disposition: attachment; filename="{name}"\n{more}\n{content}'


def test_attachments_are_named_and_read(mailed: Mailed) -> None:
    mail = mailed(
        multipart(
            "mixed",
            PLAIN,
            attachment("a.txt", "YQ==", more="Content-Transfer-Encoding: base64\n"),
            attachment("../../etc/passwd"),
            attachment("..\\win.ini"),
            attachment("a.txt", "two"),
            attachment("=?utf-8?Q?B=C3=BCro.pdf?="),
            "Content-Type: application/pdf\n\nx\n",
            "Content-Type: image/png\nContent-ID: <logo>\nContent-Disposition: inline\n\nx\n",
            'Content-Type: image/png; name="photo.png"\nContent-Disposition: inline\n\nx\n',
        )
    )
    names = list(mail.parsed.parts)
    assert names == [
        "a.txt", "passwd", "win.ini", "a (2).txt", "Büro.pdf", "attachment.pdf", "photo.png",
    ]  # fmt: skip
    assert mail.part(0) == b"a"
    assert mail.part(3) == b"two"


def test_attached_mail_is_preserved(mailed: Mailed) -> None:
    inner = "Subject: =?utf-8?Q?In=C3=A4?=\nX-Long: " + "word " * 60 + "\n\nThe inner text.\n"
    mail = mailed(multipart("mixed", PLAIN, f"Content-Type: message/rfc822\n\n{inner}"))
    assert list(mail.parsed.parts) == ["Inä.eml"]
    assert mail.part(0).decode().strip() == inner.strip()
    assert own(parsed(mail)) == ["Plain words."]


def test_oversized_mail_part_is_rejected(mailed: Mailed) -> None:
    mail = mailed(multipart("mixed", PLAIN, attachment("a.txt", "x" * 100)))
    with pytest.raises(DocumentRejected) as caught:
        mail.part(0, part_bytes=50)
    assert caught.value.reason is Rejection.TOO_LARGE
    assert len(mail.part(0, part_bytes=100)) == 100


def test_omitted_mail_parts_are_reported(mailed: Mailed) -> None:
    logo = "Content-Type: image/png\nContent-ID: <logo>\nContent-Disposition: inline\n\nx"
    elsewhere = "Content-Type: message/external-body; access-type=URL\n\nContent-Type: text/plain\n\n"
    photo = "Content-Type: image/png\nContent-Disposition: attachment; filename=a.png\n\nx"
    read = mailed(multipart("related", PLAIN, logo, logo, elsewhere, photo)).parsed
    assert read.parts == ("a.png",)
    assert read.rendition.report.warnings == (
        "2 images were skipped.", "1 external attachment was skipped.",
    )  # fmt: skip


def test_picture_in_an_alternative_is_reported(mailed: Mailed) -> None:
    page = "Content-Type: text/html\n\n<p>Rich words.</p>"
    logo = "Content-Type: image/png\nContent-ID: <logo>\n\nx"
    related = multipart("related", page, logo).replace('"b"', '"c"').replace("--b", "--c")
    read = parsed(mailed(multipart("alternative", PLAIN, related)))
    assert (own(read), read.report.warnings) == (["Rich words."], ("1 image was skipped.",))


def test_file_next_to_alternatives_is_an_attachment(mailed: Mailed) -> None:
    named = 'Content-Type: application/pdf; name="b.pdf"\n\nx'
    mail = mailed(multipart("alternative", PLAIN, PAGE, attachment("a.pdf"), named))
    assert mail.parsed.parts == ("a.pdf", "b.pdf")
    assert mail.part(0).strip() == b"x"
    assert [element.text for element in parsed(mail).elements[1:]] == ["Rich", "A | B\n1 | 2"]


def test_attachment_in_an_alternative_is_included_once(mailed: Mailed) -> None:
    def mixed(boundary: str, *parts: str) -> str:
        return multipart("mixed", *parts).replace('"b"', f'"{boundary}"').replace("--b", f"--{boundary}")

    plain = mixed("c", PLAIN, attachment("a.pdf"), attachment("b.pdf"))
    mail = mailed(multipart("alternative", plain, mixed("d", PAGE, attachment("a.pdf"))))
    assert mail.parsed.parts == ("a.pdf", "b.pdf")
    assert "Plain words." not in own(parsed(mail))


def test_invitation_next_to_the_text_is_reported(mailed: Mailed) -> None:
    event = "Content-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR\nEND:VCALENDAR\n"
    amp = "Content-Type: text/x-amp-html\n\n<html amp4email>Rich</html>\n"
    read = mailed(multipart("alternative", PLAIN, amp, PAGE, event)).parsed
    assert (read.parts, read.rendition.report.warnings) == ((), ("1 calendar event was skipped.",))
    alone = mailed(multipart("alternative", event)).parsed
    assert (len(alone.parts), alone.rendition.report.warnings) == (1, ())


def test_attachments_beyond_the_limit_are_reported(mailed: Mailed) -> None:
    mail = mailed(multipart("mixed", PLAIN, *(attachment(f"{n}.txt") for n in range(MOST_ATTACHMENTS + 3))))
    assert len(list(mail.parsed.parts)) == MOST_ATTACHMENTS
    report = parsed(mail).report
    assert (report.truncated, report.warnings[0].split()[0]) == (True, "3")


def test_mail_is_parsed_once_for_all_attachments(mailed: Mailed) -> None:
    mail = mailed(multipart("mixed", PLAIN, attachment("a.txt", "one")))
    again = mail.path.with_name("file")
    again.hardlink_to(mail.path)
    first = mime.load(again)
    again.unlink()
    again.hardlink_to(mail.path)
    assert mime.load(again) is first
    again.unlink()
    again.write_bytes(mail.path.read_bytes().replace(b"one", b"two"))
    assert mime.load(again).attachments[0].read() == b"two"


def test_hostile_mail_nesting_is_rejected(read: Read) -> None:
    deep = HEAD + "".join(
        f'Content-Type: multipart/mixed; boundary="{level}"\n\n--{level}\n' for level in range(3000)
    )
    with pytest.raises(DocumentRejected):
        read(deep + "\n\nText.", "deep.eml", seconds=20)


def test_samples(sample_data: Path, pool: ParserPool) -> None:
    def sample(name: str) -> Mail:
        return Mail(sample_data / "formats" / name, pool)

    hebrew = parsed(sample("email-no-utf8-2008-07-16.062410.eml"))
    assert (hebrew.title, own(hebrew)[0]) == ("RE: שלום", "סלבה היקר,")
    assert earlier(hebrew)[0].startswith("From: Slava [mailto:slatest@gmail.com]")
    many = parsed(sample("mime-multi-to-cc-bcc.eml"))
    assert many.properties["cc"] == "Tom <tom@example.com>, Alice <alice@example.com>"
    family = parsed(sample("family-day.eml"))
    assert (family.title, "Make sure to RSVP!" in own(family)) == ("Family Day", True)
    attached = sample("fake-email-attachment.eml")
    assert attached.parsed.parts == ("fake-attachment.txt",)
    assert attached.part(0) == b"Hey this is a fake attachment!"
