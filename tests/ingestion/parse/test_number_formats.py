from datetime import UTC, date, datetime, time, timedelta

import pytest

from ingestion.parse.sheets.number_formats import builtin_format, format_value, parse_format


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3"),
        (0.1 + 0.2, "0.3"),
        (2.9999999999999996, "3"),
        (1234567.891, "1234567.891"),
        (-3.0, "-3"),
        (1e21, "1e+21"),
        (12345678901234.0, "12345678901234"),
        (7, "7"),
        (True, "TRUE"),
        (False, "FALSE"),
        ("  two\n words\x00 ", "two words"),
        ("zero\u200bwidth", "zerowidth"),
        (date(2024, 5, 1), "2024-05-01"),
        (datetime(2024, 5, 1, tzinfo=UTC), "2024-05-01"),
        (datetime(2024, 5, 1, 13, 30, tzinfo=UTC), "2024-05-01 13:30"),
        (datetime(2024, 5, 1, 13, 30, 5, tzinfo=UTC), "2024-05-01 13:30:05"),
        (time(8, 5), "08:05"),
        (time(0, 0), "00:00"),
        (timedelta(hours=30), "30:00"),
        (timedelta(seconds=-90), "-0:01:30"),
    ],
)
def test_values_are_formatted_for_display(value: object, text: str) -> None:
    assert format_value(value) == text


@pytest.mark.parametrize(
    ("code", "value", "text"),
    [
        ("0%", 0.25, "25%"),
        ("0.0%", 0.12345, "12.3%"),
        ("#,##0.00", 1234567.891, "1,234,567.89"),
        ("#,##0.00 [$€-407]", 1234.5, "1,234.50 €"),
        ('"$"#,##0_);("$"#,##0)', 1234, "$1,234"),
        ('_($* #,##0.00_);_($* (#,##0.00);_($* "-"??_);_(@_)', 56.5, "$56.50"),
        ("00000", 1234, "01234"),
        ("0", 2.5, "3"),
        ("0", -0.4, "0"),
        ("0.##", 1.5, "1.5"),
        ("0.##", 2.0, "2"),
        ('0.0" kg"', 3.14159, "3.1 kg"),
        ("[Red]0.0", -3.14, "-3.1"),
        ("0\\°", 21.0, "21°"),
    ],
)
def test_number_formats_are_obeyed(code: str, value: float, text: str) -> None:
    assert format_value(value, parse_format(code)) == text


@pytest.mark.parametrize(
    "code",
    [
        *("General", "@", "yyyy-mm-dd", "[h]:mm", "0.00E+00", "# ?/?"),
        *("0,,", "000-000", "", "0." + "0" * 40, '"only words"'),
    ],
)
def test_unsupported_number_formats_show_the_number(code: str) -> None:
    assert format_value(1.25, parse_format(code)) == "1.25"


def test_builtin_number_format_is_found_by_number() -> None:
    assert format_value(0.5, builtin_format("9")) == "50%"
    assert builtin_format("14") is None


def test_very_large_numbers_use_exponents() -> None:
    assert format_value(1.5e300, parse_format("#,##0.00")) == "1.5e+300"
    assert format_value(float("inf"), parse_format("0")) == "inf"
    assert format_value(float("nan")) == "nan"
