"""Kinds of reports, one module each; its file name is its name. See reports/types.py for what it defines."""
