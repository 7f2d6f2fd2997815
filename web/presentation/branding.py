"""The organisation's name, logo and colours on every page."""

import hashlib
from dataclasses import dataclass
from typing import Final

from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from cairn.settings.stored.contrast import dark_shades, light_shades
from cairn.settings.stored.sections import Branding
from cairn.settings.stored.store import current_snapshot, load_section

PRODUCT: Final = "Cairn"
_HASH_CHARACTERS: Final = 16


@dataclass(frozen=True, slots=True)
class Brand:
    """`logo` and `stylesheet`: their addresses, which change with their content; "" without one."""

    name: str
    sign_in_text: str
    logo: str
    stylesheet: str


def current_brand() -> Brand:
    branding, logo = load_section(Branding), current_snapshot().logo
    color = branding.accent_color or ""
    return Brand(
        branding.name or PRODUCT,
        branding.sign_in_text or "",
        _address("pages:brand-logo", logo),
        _address("pages:brand-style", hashlib.sha256(color.encode()).hexdigest() if color else ""),
    )


def name_in_title(title: str) -> SafeString:
    """Replace the product at the end of an already escaped page title by the organisation's name."""
    name = current_brand().name
    plain = title.strip()
    if plain.endswith(PRODUCT) and name != PRODUCT:
        plain = f"{plain.removesuffix(PRODUCT)}{escape(name)}"
    return mark_safe(plain)  # noqa: S308 - blocks of templates, which escape what they show


def render_stylesheet(color: str) -> str:
    """Return the tokens of cairn.css that the accent colour changes. High contrast keeps its own."""
    light, dark = light_shades(color), dark_shades(color)
    tokens = {
        "accent": (light.accent, dark.accent),
        "accent-strong": (light.strong, dark.strong),
        "on-accent": (light.on_accent, dark.on_accent),
        "accent-soft": (light.soft, dark.soft),
    }
    lines = "".join(f"  --{name}: light-dark({pair[0]}, {pair[1]});\n" for name, pair in tokens.items())
    return f":root:where(:not([data-contrast])) {{\n{lines}}}\n"


def _address(view: str, digest: str) -> str:
    return f"{reverse(view)}?{digest[:_HASH_CHARACTERS]}" if digest else ""
