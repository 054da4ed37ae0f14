"""Kinds of reports: one module each, its file name is its name; see reports/types.py for what it holds."""
