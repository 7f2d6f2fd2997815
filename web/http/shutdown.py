"""Shutdown events of this process: no new requests first, then the end of open ones."""

import threading

draining = threading.Event()
"""Set before the process stops: load balancers should send no more requests, and connections close."""

ending = threading.Event()
"""Set when the time to stop is up: answers in progress end as interrupted, with an event about it."""
