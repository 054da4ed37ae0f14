"""Files: records as JSON, atomic writes and the signals that wait for them, the user's cache."""
