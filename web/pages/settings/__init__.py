"""Pages of the settings that admins store."""
