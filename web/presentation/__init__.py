"""How values are presented on pages: charts, Markdown, notices."""
