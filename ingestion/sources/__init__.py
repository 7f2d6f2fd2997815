"""Sources: external systems, such as file shares and wikis, whose documents and permissions Cairn syncs."""
