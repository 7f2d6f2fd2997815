"""What templates need to speak the reader's language."""

from django import template

from web import telling

register = template.Library()
register.filter("number", telling.number)
register.filter("told", telling.told)
