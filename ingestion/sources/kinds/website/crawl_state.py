"""State that a crawl leaves to the next one as the cursor of the source: versions and links of pages."""

import base64
import json
import zlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ValidationError

MAX_BYTES: Final = 500_000_000


class PageState(BaseModel):
    """A page as it was last read. `indexed` is False if it asks not to be found. `canonical` is the address
    that it names as its own, if that is another one of the selected part."""

    version: str
    name: str
    title: str = ""
    size: int | None = None
    etag: str = ""
    modified: str = ""
    canonical: str = ""
    links: tuple[str, ...] = ()
    indexed: bool = True


@dataclass(slots=True)
class CrawlState:
    """Pages by address. `unread` has pages that could not be read before any listing was complete, with the
    time of the first failure: what they link to is unknown. `has_sitemap`: there was a sitemap."""

    pages: dict[str, PageState] = field(default_factory=dict)
    unread: dict[str, datetime] = field(default_factory=dict)
    has_sitemap: bool = False

    def encode(self) -> str:
        """Return the state as text, with each address written once."""
        addresses = list(dict.fromkeys(self._list_addresses()))
        numbers = {address: number for number, address in enumerate(addresses)}
        pages = {
            numbers[address]: {
                **page.model_dump(exclude_defaults=True, exclude={"links"}),
                "links": [numbers[link] for link in page.links],
            }
            for address, page in self.pages.items()
        }
        unread = {address: first.isoformat() for address, first in self.unread.items()}
        values = {"addresses": addresses, "pages": pages, "unread": unread, "has_sitemap": self.has_sitemap}
        return base64.b85encode(zlib.compress(json.dumps(values).encode())).decode()

    def _list_addresses(self) -> list[str]:
        return [*self.pages, *(link for page in self.pages.values() for link in page.links)]


def decode_state(cursor: str) -> CrawlState:
    """Return the state of the previous crawl, an empty one if none can be read."""
    if not cursor:
        return CrawlState()
    try:
        unpacked = zlib.decompressobj().decompress(base64.b85decode(cursor), MAX_BYTES)
        values: dict[str, Any] = json.loads(unpacked)
        addresses = values["addresses"]
        return CrawlState(
            {
                addresses[int(number)]: _decode_page(page, addresses)
                for number, page in values["pages"].items()
            },
            {address: datetime.fromisoformat(first) for address, first in values["unread"].items()},
            bool(values["has_sitemap"]),
        )
    except (ValueError, zlib.error, KeyError, IndexError, TypeError, ValidationError):
        return CrawlState()


def _decode_page(values: dict[str, Any], addresses: list[str]) -> PageState:
    return PageState(**{**values, "links": tuple(addresses[number] for number in values["links"])})
