"""Output for people: numbers, tables, progress."""
