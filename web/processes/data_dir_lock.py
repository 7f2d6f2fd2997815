"""Exclusive ownership of DATA_DIR. The lock file has the owner's name and URL."""

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from cairn.errors import Conflict
from web.processes.watchdog import command_pid

_TRIES, _PAUSE = 20, 0.05  # a probe takes the lock for a moment, which doesn't count


@dataclass(frozen=True, slots=True)
class Holder:
    """The owner. `url` is None until it serves."""

    pid: int
    command: str
    since: str
    url: str | None = None

    def __str__(self) -> str:
        where = f", at {self.url}" if self.url else ""
        return f"process {self.pid} ({self.command}), since {self.since}{where}"


class DataDirInUse(Conflict):
    """Another process owns DATA_DIR."""

    def __init__(self, data_dir: Path, holder: Holder | None) -> None:
        who = str(holder) if holder else "a process that did not leave its name"
        super().__init__(f"{data_dir} is in use by {who}.")
        self.holder = holder


class DataDirLock:
    """The lock. The operating system releases it when the process ends for any reason."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._stream: IO[str] | None = None

    def acquire(self, command: str) -> None:
        """Acquire the lock. Raises DataDirInUse."""
        stream = _open(self._data_dir)
        if not _take(stream, fcntl.LOCK_EX, tries=_TRIES):
            stream.close()
            raise DataDirInUse(self._data_dir, _read(_path(self._data_dir)))
        self._stream = stream
        since = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
        self._write(Holder(command_pid(), command, since))

    def announce(self, url: str) -> None:
        """Publish the URL of this process."""
        holder = _read(_path(self._data_dir))
        if holder is not None:
            self._write(Holder(holder.pid, holder.command, holder.since, url))

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
    """Return the present owner of DATA_DIR, or None."""
    if not _path(data_dir).exists():
        return None
    with _open(data_dir) as stream:
        if _take(stream, fcntl.LOCK_SH, tries=1):
            return None
    holder = _read(_path(data_dir))
    return holder or Holder(0, "unknown", "a moment ago")


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
    """Read the owner. It is written right after locking, so it may appear with a short delay."""
    for _ in range(_TRIES):
        try:
            return Holder(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            time.sleep(_PAUSE)
    return None
