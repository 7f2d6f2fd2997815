"""Files for download: the audit log, and the data of a user."""
