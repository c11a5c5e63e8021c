"""A small shop of our own, served in-process by ``edgeproxy demo``."""
