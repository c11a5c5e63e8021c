"""A small shop of our own, served in-process by ``edgeproxy demo``.

``shop`` is the application, which knows nothing of edgeproxy; ``run`` is what the verb needs of it.
"""
