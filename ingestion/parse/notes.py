"""Sentences for a document's report."""


def not_read(count: int, what: str) -> tuple[str, ...]:
    """`what` in the singular; none for a count of zero."""
    if not count:
        return ()
    plural = f"{what}es" if what.endswith("x") else f"{what}s"
    return (f"1 {what} was not read.",) if count == 1 else (f"{count:,} {plural} were not read.",)


def hidden(count: int) -> tuple[str, ...]:
    """None for a count of zero."""
    if not count:
        return ()
    what = "1 character that nobody sees was" if count == 1 else f"{count:,} characters that nobody sees were"
    return (f"{what} taken out of the text. Such characters can hide words from readers.",)
