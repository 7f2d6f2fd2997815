"""Pages as HTML, from the format in which Confluence stores them."""

import re
from html import escape
from typing import Final

_CODE: Final = re.compile(r"<ac:plain-text-body>\s*<!\[CDATA\[(.*?)\]\]>\s*</ac:plain-text-body>", re.DOTALL)
_CDATA: Final = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_PARAMETER: Final = re.compile(r"<ac:parameter\b[^>]*>[^<]*</ac:parameter>")
_PAGE: Final = """\
<!doctype html>
<html><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1>
{body}
</body></html>
"""


def write_page(title: str, storage: str) -> str:
    """Return a page as HTML. Macros don't run: they could show what the page's readers may not see."""
    body = _CODE.sub(lambda found: f"<pre>{escape(found[1])}</pre>", storage)
    body = _PARAMETER.sub("", _CDATA.sub(lambda found: escape(found[1]), body))
    return _PAGE.format(title=escape(title), body=body)
