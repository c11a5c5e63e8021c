"""PURE bytes: where slots are in a page and what the page is with its edits applied."""
