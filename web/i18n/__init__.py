"""Languages, localized formats and translations of stored texts."""
