"""The only place that decides who may read what."""
