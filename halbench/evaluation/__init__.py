"""From responses to numbers: suites opened and checked, responses scored, results signed and written."""
