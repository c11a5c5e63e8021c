"""The visitor's own page: what is remembered of them, why a page looked as it did, and what they want instead."""
