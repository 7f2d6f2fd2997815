"""A way through everything there is to see: to test all pages, to make pictures of them, to time them."""

import os

import django
from django.apps import apps

if "DJANGO_SETTINGS_MODULE" not in os.environ:  # a command: it sees none of the developer's settings
    from tests import environment as environment
if not apps.ready:
    django.setup()
