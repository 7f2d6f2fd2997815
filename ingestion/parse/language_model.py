"""py3langid's model of languages."""

import functools
import io
import lzma
from typing import Final

import numpy as np
from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier

_ISO_639_1: Final = 2  # letters


def identify(text: str) -> tuple[str, float]:
    """(ISO 639-1 code, confidence from 0 to 1)."""
    language, confidence = _identifier().classify(text)
    return str(language), float(confidence)


@functools.cache
def _identifier() -> LanguageIdentifier:
    """py3langid would load its model by way of a temporary file; parsers may not write any."""
    with lzma.open(MODEL_DIR / MODEL_FILE) as packed:
        content = io.BytesIO(packed.read())
    with np.load(content) as model:
        names = model["classes"].tolist()
        kept = [place for place, name in enumerate(names) if len(name) == _ISO_639_1]
        return LanguageIdentifier(
            np.ascontiguousarray(model["ptc"][:, kept]),  # row by row, as it is asked for
            model["pc"][kept],
            [names[place] for place in kept],
            memoryview(model["nextmove"]),  # whose items are read faster than numpy's
            model["out_feat"].tolist(),
            norm_probs=True,
            tk_row=model["nextmove_row"].tolist(),
        )
