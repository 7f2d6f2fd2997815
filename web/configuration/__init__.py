"""Changes and checks of the settings that admins store."""
