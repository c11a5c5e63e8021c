"""The contact sheet."""
