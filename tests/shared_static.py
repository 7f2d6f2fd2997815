"""Static files, looked up once for all clients of a process: each new one loads the middleware again."""

from typing import Any

from django.conf import settings

from web.http.static_files import StaticFilesMiddleware


def share_static_files() -> None:
    find = StaticFilesMiddleware.add_files_from_finders
    found: dict[bool, dict[str, Any]] = {}

    def share(middleware: StaticFilesMiddleware) -> None:
        if settings.DEBUG not in found:
            find(middleware)
            found[settings.DEBUG] = middleware.files
        middleware.files = dict(found[settings.DEBUG])

    StaticFilesMiddleware.add_files_from_finders = share
