"""Shutdown events of this process: no new requests first, then the end of open ones."""

import threading

draining = threading.Event()
"""It is about to end: balancers are told to send nobody any more, and connections are not kept."""

ending = threading.Event()
"""Its time is up: an answer that is still being written ends as interrupted, with an event that says so."""
