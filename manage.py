#!/usr/bin/env python
"""Django's command line; `python manage.py up` starts everything."""

import gc
import os
import sys
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from pydantic import ValidationError

sys.path.insert(1, str(Path(__file__).parent / "platform"))  # this checkout, not one that is installed

from cairn.errors import ConfigurationError


def main() -> None:
    gc.set_threshold(50_000, 20, 50)  # collections would take a quarter of the time that imports take
    os.umask(0o077)  # what Cairn writes is for its own user only: documents, the database, secrets
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cairn.settings.django")
    try:
        execute_from_command_line(sys.argv)
    except ValidationError as error:
        sys.exit(f"error: {_settings_at_fault(error)}")
    except (ConfigurationError, ImproperlyConfigured) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _settings_at_fault(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, problem['loc'])).upper()}: {problem['msg']}" for problem in error.errors()
    )


if __name__ == "__main__":
    main()
