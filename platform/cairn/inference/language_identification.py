"""Identifies the language of a text with the model of py3langid."""

import functools
import io
import lzma
from collections.abc import Collection
from typing import Final

import numpy as np
from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier

_ISO_639_1: Final = 2  # letters


def identify(text: str, among: Collection[str] | None = None) -> tuple[str, float]:
    """Return the ISO 639-1 code and the confidence from 0 to 1. `among`: the codes that may be returned."""
    language, confidence = _identifier(None if among is None else frozenset(among)).classify(text)
    return str(language), float(confidence)


@functools.cache
def _identifier(among: frozenset[str] | None) -> LanguageIdentifier:
    """Load the model. py3langid itself would use a temporary file, which parsers may not write."""
    with lzma.open(MODEL_DIR / MODEL_FILE) as packed:
        content = io.BytesIO(packed.read())
    with np.load(content) as model:
        names = model["classes"].tolist()
        indexes = [
            place
            for place, name in enumerate(names)
            if (len(name) == _ISO_639_1 if among is None else name in among)
        ]
        return LanguageIdentifier(
            np.ascontiguousarray(model["ptc"][:, indexes]),  # row by row, as it is asked for
            model["pc"][indexes],
            [names[place] for place in indexes],
            memoryview(model["nextmove"]),  # whose items are read faster than numpy's
            model["out_feat"].tolist(),
            norm_probs=True,
            tk_row=model["nextmove_row"].tolist(),
        )
