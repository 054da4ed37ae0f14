"""Response files in the common formats, and the items that their rows answer."""
