"""Pages (`pages`), the REST API (`api`), other protocols (`protocols`) and commands (`cli`)."""
