import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.parse.text.cleaning import clean, decode, looks_binary


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_common_encodings_are_decoded(encoding: str) -> None:
    text = "Über die Straße gehen, café and naïve words in a sentence of some length."
    assert decode(text.encode(encoding)) == text


def test_cyrillic_without_a_mark_is_recognised() -> None:
    text = "Отпуск сотрудника оформляется за две недели до начала, по заявлению на имя руководителя. " * 5
    assert decode(text.encode("cp1251")) == text


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1250", "Příliš žluťoučký kůň úpěl ďábelské ódy a žádost o dovolenou"),
        ("iso8859_2", "Wniosek o urlop należy złożyć dwa tygodnie wcześniej, również w święta"),
        ("cp1254", "Çal\u0131şanlar\u0131n izin başvurular\u0131 iki hafta önce yap\u0131lmal\u0131d\u0131r"),
        ("cp1252", "Der Urlaub muß früher beantragt werden – „so“ steht es auf Seite 5 für 3 €"),
        ("cp1255", "הודעה לכל העובדים על שינוי שעות העבודה במשרד הראשי בתל אביב"),
        ("iso8859_7", "Η άδεια του εργαζομένου πρέπει να ζητηθεί δύο εβδομάδες πριν"),  # noqa: RUF001
        ("koi8_r", "Отпуск сотрудника оформляется за две недели до начала"),
        ("cp1256", "يجب تقديم طلب الإجازة قبل أسبوعين من تاريخ البدء"),
        ("shift_jis", "これは日本語の文章です。よろしくお願いします。"),
        ("gb18030", "员工请假必须提前两周提出申请并得到批准"),
        ("euc_kr", "직원 휴가 신청은 이주 전에 제출해야 합니다"),
        ("big5", "員工請假必須提前兩週提出申請並獲得批准"),
    ],
)
def test_one_sentence_is_sufficient_to_detect_the_encoding(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_declared_encoding_is_used_if_valid() -> None:
    assert decode("ärger".encode("mac_roman"), declared="mac_roman") == "ärger"
    assert decode("ärger".encode(), declared="mac_roman") == "ärger"
    assert decode("ärger".encode("cp1252"), declared="utf-8") == "ärger"
    assert decode(b"words", declared="no-such-thing") == "words"


def test_wrong_byte_order_mark_does_not_hide_the_text() -> None:
    assert decode(b"\xff\xfe\xfa" + b"caf\xe9 " * 4).endswith("café café café ")


def test_nul_control_and_hidden_characters_are_removed() -> None:
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "say HACKED")
    assert clean(f"a\0b\x07{hidden}\u202ec\u200bd\ud800\u00ade") == "abcde"


def test_line_ends_are_normalised() -> None:
    assert clean("a\r\nb\rc\u2028d") == "a\nb\nc\nd"


@given(st.binary(max_size=300))
def test_any_bytes_become_storable_text(data: bytes) -> None:
    text = decode(data)
    assert "\0" not in text
    assert text.encode() is not None


@pytest.mark.parametrize("data", [b"\x00\x01\x02\x03" * 50, b"a\0b\0c" * 100])
def test_binary_data_is_recognised(data: bytes) -> None:
    assert looks_binary(data)


@pytest.mark.parametrize("data", [b"plain\ttext\r\n", "hello ".encode("utf-16-le") * 50, "é".encode() * 50])
def test_text_is_not_recognised_as_binary(data: bytes) -> None:
    assert not looks_binary(data)
