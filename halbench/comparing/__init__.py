"""Two runs: paired differences, margins, the gate."""
