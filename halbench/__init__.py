"""halbench: hallucination benchmarks for vision-language models. Importing it does nothing and needs no torch."""

__version__ = "0.1.0"
