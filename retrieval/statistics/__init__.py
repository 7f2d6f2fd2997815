"""Usage statistics: narrow rows that are quick to aggregate."""
