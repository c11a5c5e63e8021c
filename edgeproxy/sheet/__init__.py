"""The contact sheet: pages as every persona sees them, side by side, by the very path that visitors' requests take."""
