"""Sources: systems outside, such as file shares and wikis, whose documents and permissions Cairn follows."""
