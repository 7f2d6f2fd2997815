"""Finds the routes of a URLconf: (method, path) with the path's parameters in braces."""

import re
from collections.abc import Callable, Iterable, Iterator
from inspect import getclosurevars, isfunction
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from ninja.operation import PathView

from web.http.late_views import LateView

Found = tuple[str, str]
UNRESTRICTED = ("GET", "POST")
"""A view that looks at no method answers to all of them: to read and to change are told apart."""
READ_ALONG = {"HEAD", "OPTIONS"}


def routes_of(urlconf: str) -> set[Found]:
    return {
        (method, _braced(text))
        for text, view in _views(get_resolver(urlconf).url_patterns)
        for method in _methods(view)
    }


def _views(patterns: "Iterable[URLPattern | URLResolver]", above: str = "/") -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        text = above + str(pattern.pattern).removeprefix("^")
        if isinstance(pattern, URLPattern):
            yield text, _loaded(pattern.callback)
        else:
            yield from _views(pattern.url_patterns, text)


def _loaded(view: Any) -> Any:
    return view.load() if isinstance(view, LateView) else view


def _braced(text: str) -> str:
    in_regex = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", r"{\1}", text.removesuffix("$"))
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", in_regex)


def _methods(view: Callable[..., Any]) -> Iterable[str]:
    for layer in _layers(view):
        owner = getattr(layer, "__self__", None)
        closed_over = [owner, *(getclosurevars(layer).nonlocals.values() if isfunction(layer) else ())]
        for each in closed_over:
            if isinstance(each, PathView):
                return [method for operation in each.operations for method in operation.methods]
        if isfunction(layer) and (named := getclosurevars(layer).nonlocals.get("request_method_list")):
            return set(named) - READ_ALONG
    if made := getattr(view, "view_class", None):
        return {name.upper() for name in made.http_method_names if hasattr(made, name)} - READ_ALONG
    return UNRESTRICTED


def _layers(view: Any) -> Iterator[Any]:
    while view is not None:
        yield view
        view = getattr(view, "__wrapped__", None)
