"""Sentences for a document's processing report."""


def not_read(count: int, what: str) -> tuple[str, ...]:
    """Report unread content, with `what` in the singular. Empty for a count of zero."""
    if not count:
        return ()
    plural = f"{what}es" if what.endswith("x") else f"{what}s"
    return (f"1 {what} was skipped.",) if count == 1 else (f"{count:,} {plural} were skipped.",)


def hidden(count: int) -> tuple[str, ...]:
    """Report removed hidden characters. Empty for a count of zero."""
    if not count:
        return ()
    what = "1 invisible character was" if count == 1 else f"{count:,} invisible characters were"
    return (f"{what} removed. Invisible characters can hide words from readers.",)
