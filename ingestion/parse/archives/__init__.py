"""Archives, and the files embedded in other files."""
