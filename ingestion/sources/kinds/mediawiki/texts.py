"""Pages as documents in HTML."""

from html import escape
from typing import Final

_PAGE: Final = """\
<!doctype html>
<html><head><meta charset="utf-8"><base href="{base}"></head>
<body>
{body}
</body></html>
"""


def write_page(body: str, base: str) -> str:
    """Return a page as a document whose relative links lead to `base`. It has no title, so that a page that
    is only renamed isn't processed again."""
    return _PAGE.format(base=escape(base), body=body)
