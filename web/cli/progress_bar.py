"""A progress bar on terminals, occasional lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from web.cli.folder_upload import Tick

_LINE_EVERY = 5.0  # seconds


@contextmanager
def progress_bar(stream: IO[str], *, silent: bool = False) -> Iterator[Tick]:
    if silent:
        yield lambda _what, _done, _total: None
    elif stream.isatty():
        yield from _rich(stream)
    else:
        yield _lines(stream)


def _rich(stream: IO[str]) -> Iterator[Tick]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=stream)) as progress:
        tasks = {}

        def tick(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done, total=total)

        yield tick


def _lines(stream: IO[str]) -> Tick:
    shown = {"at": time.monotonic(), "what": 0.0}

    def tick(what: str, done: int, total: int) -> None:
        if done < total and time.monotonic() - shown["at"] < _LINE_EVERY:
            return
        shown["at"] = time.monotonic()
        stream.write(f"{what}: {done}/{total}\n")
        stream.flush()

    return tick
