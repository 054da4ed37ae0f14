"""Benchmark suites: each module here defines one as SUITE."""
