"""Rule files, kind by kind: how each is read, checked and described.  ``core.rulefile.parse`` is the way in."""
