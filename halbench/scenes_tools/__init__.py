"""The tools of `halbench scenes`: training the checkpoint, exporting scenes, preference pairs, a contact sheet."""
