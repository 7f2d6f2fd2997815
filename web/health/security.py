"""Checks of secrets, file permissions and programs."""

from pathlib import Path
from typing import Final

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cairn.settings import environment
from cairn.settings.file_permissions import open_to_others
from cairn.settings.generated_secrets import is_guessable
from ingestion.parse.sandbox import programs
from web.health.results import HealthResult, ok, problem, warning

_PROGRAMS: Final = (
    (programs.SOFFICE, "LibreOffice", gettext_lazy("old Office files (.doc, .ppt)")),
    (programs.TESSERACT, "Tesseract", gettext_lazy("images and scanned pages")),
    (programs.PANDOC, "Pandoc", gettext_lazy("RTF, ODT, EPUB, RST and Org files")),
)


def check_secrets() -> HealthResult:
    given = environment()
    secret = given.secret_key.get_secret_value() if given.secret_key else None
    if given.cairn_debug:
        return problem(
            _("CAIRN_DEBUG is on, so error pages show the inside of Cairn."),
            _("Turn it off, and restart Cairn."),
        )
    if secret is not None and is_guessable(secret):
        return problem(
            _("SECRET_KEY can be guessed: sessions can be forged."),
            _("Remove the setting, and Cairn generates a key. Everyone has to sign in again."),
        )
    if exposed := open_to_others(Path(settings.DATA_DIR), settings.SQLITE_FILE):
        return warning(
            _("Other users of this machine can access %(path)s.") % {"path": exposed[0]},
            _("As its owner:"),
            command=f"chmod go= {exposed[0]}",
        )
    return ok(_("The secret key is strong, and only Cairn can access its data."))


def check_programs() -> HealthResult:
    missing = [(name, formats) for program, name, formats in _PROGRAMS if programs.find(program) is None]
    if not missing:
        return ok(_("All programs for reading documents are installed."))
    sentences = [
        _("%(name)s isn’t installed, so %(formats)s aren’t read.") % {"name": name, "formats": formats}
        for name, formats in missing
    ]
    return warning(" ".join(sentences), _("Install what you need, and restart the workers."))
