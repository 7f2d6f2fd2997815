"""Health checks: what works, what doesn't and what to do about it, for the page, REST and `doctor`."""
