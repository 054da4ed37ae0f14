"""The suites' data files: where they are, what they should contain, where they come from."""
