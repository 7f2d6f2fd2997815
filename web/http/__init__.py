"""Middleware, authentication, response headers and event streams."""
