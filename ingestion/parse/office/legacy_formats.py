"""Legacy Office files, converted by LibreOffice and then parsed."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import olefile

from cairn.library.rendition import Rendition
from ingestion.parse.core import failures, formats
from ingestion.parse.core.limits import Limits
from ingestion.parse.office import slides, word
from ingestion.parse.sandbox import programs

_LARGEST_FILE: Final = 256 << 20
_RESTART: Final = (79, 81)  # it wants to be started again, as it does after making a profile
_MOST_STARTS: Final = 3
_OPTIONS: Final = ("--headless", "--norestore", "--nologo", "--nodefault", "--nolockcheck")

_WORD_FLAGS_AT: Final = 11
_WORD_ENCRYPTED: Final = 0x01
_TOKEN_AT: Final = 12
_SLIDES_ENCRYPTED: Final = bytes.fromhex("dfc4d1f3")


def doc(path: Path, limits: Limits) -> Rendition:
    return _read(path, formats.DOC, "docx", word.parse, limits)


def ppt(path: Path, limits: Limits) -> Rendition:
    return _read(path, formats.PPT, "pptx", slides.parse, limits)


def _read(
    path: Path, media_type: str, extension: str, parse: Callable[[Path, Limits], Rendition], limits: Limits
) -> Rendition:
    kind = formats.BY_MEDIA_TYPE[media_type].noun
    if _is_encrypted(path):
        raise failures.protected(kind)
    converted = _convert(path, extension, kind, limits)
    try:
        return parse(converted, limits)
    finally:
        converted.unlink()


def _is_encrypted(path: Path) -> bool:
    """Return whether the file's headers declare encryption."""
    try:
        with olefile.OleFileIO(str(path)) as container:
            return (
                bool(_byte(container, "WordDocument", _WORD_FLAGS_AT) & _WORD_ENCRYPTED)
                or _bytes(container, "Current User", _TOKEN_AT, 4) == _SLIDES_ENCRYPTED
            )
    except OSError:
        return False


def _byte(container: olefile.OleFileIO, stream: str, place: int) -> int:
    return int.from_bytes(_bytes(container, stream, place, 1))


def _bytes(container: olefile.OleFileIO, stream: str, place: int, count: int) -> bytes:
    if not container.exists(stream):
        return b""
    with container.openstream(stream) as opened:
        return bytes(opened.read(place + count)[place:])


def _convert(path: Path, extension: str, kind: str, limits: Limits) -> Path:
    """Convert a file. LibreOffice exits successfully without output if it cannot read a file."""
    folder = programs.folder() / "converted"
    profile = programs.folder() / "profile"
    arguments = [
        f"-env:UserInstallation={profile.as_uri()}",
        "-env:OSL_SOCKET_PATH=.",  # the folder it starts in: a full path may be too long for a socket
        *_OPTIONS,
        *("--convert-to", extension, "--outdir", str(folder), str(path)),
    ]
    for _ in range(_MOST_STARTS):
        if _is_done(arguments, kind, limits):
            break
    converted = folder / f"{path.stem}.{extension}"
    if not converted.is_file():
        raise failures.damaged(kind)
    return converted


def _is_done(arguments: list[str], kind: str, limits: Limits) -> bool:
    """Run LibreOffice. Returns False if it asks to be restarted."""
    try:
        programs.run(programs.SOFFICE, arguments, limits=limits, may_write=_LARGEST_FILE)
    except programs.ProgramFailed as error:
        if error.returncode in _RESTART:
            return False
        raise failures.damaged(kind) from error
    return True
