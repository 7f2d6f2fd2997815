"""Errors that libraries for Office files raise on damaged ones."""

from typing import Final
from zipfile import BadZipFile

from lxml import etree

# on parts that are missing or not what they should be
DAMAGE: Final = (
    BadZipFile,
    etree.LxmlError,
    KeyError,
    ValueError,
    AttributeError,
    IndexError,
    TypeError,
)
