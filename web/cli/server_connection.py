"""Commands as REST clients of the server that owns DATA_DIR, or of a temporary one."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils import timezone

from cairn.accounts.models import User
from cairn.accounts.services import api_key_create, api_key_revoke
from cairn.errors import ConfigurationError, Unavailable
from cairn.limits.services import limit_lift
from web.cli.api_client import Api
from web.processes.data_dir_lock import DataDirInUse, Holder, holder_of
from web.processes.progress_report import Reporter

if TYPE_CHECKING:
    from web.processes.embedded import Runtime

_RUNTIME = "web.processes.embedded"  # by name: with a running server, a command needs no imports of one
_KEY_LIFE = timedelta(hours=24)
_KEY_LABEL = "command line"
_PATIENCE = 60.0  # seconds for a server that is still starting
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection. `own`: the server runs in this process and ends with it."""

    api: Api
    own: bool


@contextmanager
def client(reporter: Reporter, *, command: str) -> Iterator[Connected]:
    """Connect to the server. `command` names the owner of DATA_DIR if this process has to start one."""
    holder = holder_of(Path(settings.DATA_DIR))
    if holder is None:
        runtime: Runtime = import_module(_RUNTIME).Runtime(command=command, reporter=reporter, warm=False)
        try:
            runtime.start()
            reporter.close()  # the command has the word from here on
        except DataDirInUse as error:  # another process was faster
            holder = error.holder
        else:
            with _stopping(runtime), connect_with_temporary_key(runtime.url) as api:
                yield Connected(api, own=True)
            return
    with connect_with_temporary_key(url_of(holder)) as api:
        yield Connected(api, own=False)


@contextmanager
def _stopping(runtime: "Runtime") -> Iterator[None]:
    try:
        yield
    finally:
        runtime.stop()


@contextmanager
def connect_with_temporary_key(url: str) -> Iterator[Api]:
    """Create a key for the duration of the command, from the database: who may read that is trusted."""
    with Api(url) as waiting:
        waiting.get("/healthz")  # answers once the tables are there
    user = User.objects.active().filter(is_admin=True).first()
    if user is None:
        raise ConfigurationError("There's no active administrator to act for.")
    expires_at = timezone.now() + _KEY_LIFE
    row, key = api_key_create(user=user, label=_KEY_LABEL, expires_at=expires_at, for_command=True)
    limit_lift(row)
    try:
        with Api(url, key) as api:
            yield api
    finally:
        api_key_revoke(user=user, key_id=row.id)


def url_of(holder: Holder | None) -> str:
    """Return the server's URL, after waiting for it to start."""
    give_up = time.monotonic() + _PATIENCE
    while time.monotonic() < give_up:
        if holder and holder.url:
            return holder.url
        time.sleep(_LOOK_SECONDS)
        holder = holder_of(Path(settings.DATA_DIR))
    raise Unavailable(
        f"{settings.DATA_DIR} is locked by {holder or 'nobody'}, but no server is responding there."
    )
