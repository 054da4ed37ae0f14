"""Benchmark suites: each module here is one suite and holds it as SUITE."""
