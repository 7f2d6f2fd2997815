"""Sentences for a document's processing report."""


def not_read(count: int, what: str) -> tuple[str, ...]:
    """Report unread content, with `what` in the singular. Empty for a count of zero."""
    if not count:
        return ()
    plural = f"{what}es" if what.endswith("x") else f"{what}s"
    return (f"1 {what} was not read.",) if count == 1 else (f"{count:,} {plural} were not read.",)


def hidden(count: int) -> tuple[str, ...]:
    """Report removed hidden characters. Empty for a count of zero."""
    if not count:
        return ()
    what = "1 character that nobody sees was" if count == 1 else f"{count:,} characters that nobody sees were"
    return (f"{what} taken out of the text. Such characters can hide words from readers.",)
