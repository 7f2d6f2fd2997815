"""Pictures of every page: `python -m tests.tour.screenshots [--only WORD] [--into FOLDER] [--language de]`.

States of pages are only shown in English: they are reached by the names of buttons.
"""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, ViewportSize, sync_playwright
from rich.console import Console

from tests.servers import ROOT, start_server, stop_server
from tests.tour.looking import CHROMIUM, DESKTOP, FLAGS, Tour
from tests.tour.sample import sample
from tests.tour.visits import VISITS, Visit

FOLDER = ROOT / "screenshots"
POCKET = ViewportSize(width=390, height=844)
SHRINK = "document.fonts.ready"


def _light(page: Page) -> None:
    page.set_viewport_size(DESKTOP)
    page.emulate_media(color_scheme="light")
    _themed(page, "light")


def _dark(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    _themed(page, "dark")


def _contrast(page: Page) -> None:
    page.emulate_media(color_scheme="light")
    _themed(page, "contrast")


def _phone(page: Page) -> None:
    page.set_viewport_size(POCKET)
    _themed(page, "light")


def _themed(page: Page, theme: str) -> None:
    page.evaluate("theme => applyTheme(theme)", theme)


LOOKS: dict[str, Callable[[Page], None]] = {
    "light": _light,
    "dark": _dark,
    "contrast": _contrast,
    "phone": _phone,
}


def picture(tour: Tour, visit: Visit, into: Path) -> None:
    with tour.visit(visit) as page:
        for look, wear in LOOKS.items():
            if visit.narrow and look != "phone":
                continue
            wear(page)
            page.evaluate(SHRINK)
            page.screenshot(path=into / f"{_file(visit)}.{look}.png")


def _file(visit: Visit) -> str:
    name = visit.name.removeprefix("/") or "chat"
    return re.sub(r"[^\w]+", "-", name).strip("-")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="only pages with this in their name")
    parser.add_argument("--into", type=Path, default=FOLDER)
    parser.add_argument("--language", default="en", help="de, for example; without the states of pages")
    options = parser.parse_args()
    options.into.mkdir(parents=True, exist_ok=True)
    english = options.language == "en"
    visits = [visit for visit in VISITS if options.only in visit.name and (english or not visit.prepare)]
    console = Console()
    with TemporaryDirectory(prefix="cairn-screenshots-") as folder, sync_playwright() as playwright:
        server = start_server(Path(folder))
        try:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            tour = Tour(browser, sample(server), language=options.language)
            for visit in visits:
                picture(tour, visit, options.into)
                console.print(visit.name, highlight=False)
            browser.close()
        finally:
            stop_server(server)
    console.print(f"{len(visits)} pages and states are in {options.into}")


if __name__ == "__main__":
    main()
