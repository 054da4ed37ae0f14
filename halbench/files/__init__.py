"""Files: records as JSON, atomic writes, the user's cache."""
