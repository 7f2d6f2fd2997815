"""Imports for serving pages and the API. Loaded by name in `web.processes.warmup`."""

import cairn.asgi  # noqa: F401 - faults of the middleware show before anything is served
import web.urls  # noqa: F401 - the first request finds its views imported
