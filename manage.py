#!/usr/bin/env python
"""Django's command line; `python manage.py up` starts everything."""

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line

sys.path.append(str(Path(__file__).parent / "platform"))


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cairn.settings.django")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
