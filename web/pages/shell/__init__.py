"""What surrounds every page: decorators, navigation and the sidebar."""
