"""Properties of found passages: their location, date and near duplicates."""
