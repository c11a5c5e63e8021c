"""A small shop of our own, served in-process by ``edgeproxy demo``: ``shop`` is the application, ``run`` the verb's part."""
