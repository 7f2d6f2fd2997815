"""One process owns DATA_DIR. Its name and address stand in the lock file."""

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from cairn.errors import Conflict
from web.runtime.watchdog import command_pid

_TRIES, _PAUSE = 20, 0.05  # a probe holds the lock for a moment; that is not "held"


@dataclass(frozen=True, slots=True)
class Holder:
    """`url` is None until the holder serves."""

    pid: int
    command: str
    since: str
    url: str | None = None

    def __str__(self) -> str:
        where = f", at {self.url}" if self.url else ""
        return f"process {self.pid} ({self.command}), since {self.since}{where}"


class DataDirHeld(Conflict):
    """Another process owns DATA_DIR."""

    def __init__(self, data_dir: Path, holder: Holder | None) -> None:
        who = str(holder) if holder else "a process that did not leave its name"
        super().__init__(f"{data_dir} is in use by {who}.")
        self.holder = holder


class DataDirLock:
    """The operating system frees it when the process ends, however it ends."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._stream: IO[str] | None = None

    def acquire(self, command: str) -> None:
        """Raises DataDirHeld."""
        stream = _open(self._data_dir)
        if not _take(stream, fcntl.LOCK_EX, tries=_TRIES):
            stream.close()
            raise DataDirHeld(self._data_dir, _read(_path(self._data_dir)))
        self._stream = stream
        since = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
        self._write(Holder(command_pid(), command, since))

    def announce(self, url: str) -> None:
        """Tells others where this process serves."""
        held = _read(_path(self._data_dir))
        if held is not None:
            self._write(Holder(held.pid, held.command, held.since, url))

    def release(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.truncate(0)
            stream.close()

    def _write(self, holder: Holder) -> None:
        assert self._stream is not None
        self._stream.seek(0)
        self._stream.truncate()
        self._stream.write(json.dumps(asdict(holder)))
        self._stream.flush()


def holder_of(data_dir: Path) -> Holder | None:
    """Who owns DATA_DIR now; None if nobody does."""
    if not _path(data_dir).exists():
        return None
    with _open(data_dir) as stream:
        if _take(stream, fcntl.LOCK_SH, tries=1):
            return None
    held = _read(_path(data_dir))
    return held or Holder(0, "unknown", "a moment ago")


def _path(data_dir: Path) -> Path:
    return data_dir / "lock"


def _open(data_dir: Path) -> IO[str]:
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(_path(data_dir), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "r+", encoding="utf-8")


def _take(stream: IO[str], kind: int, *, tries: int) -> bool:
    for attempt in range(tries):
        try:
            fcntl.flock(stream, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt + 1 < tries:
                time.sleep(_PAUSE)
        else:
            return True
    return False


def _read(path: Path) -> Holder | None:
    """The holder writes right after it took the lock, so the text may come a moment later."""
    for _ in range(_TRIES):
        try:
            return Holder(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            time.sleep(_PAUSE)
    return None
