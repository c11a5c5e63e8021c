"""Benchmarks of this machine: ``python -m tests.benchmarks [NAME…] [--quick]`` prints a table for each.

A figure here is a ratio against a baseline of the same run, since everything else depends on the machine.  ``pure``
has what needs no socket, ``paths`` what goes through ``edgeproxy serve``; ``measure`` is how it is measured.  The suite
runs each of them in a tiny size, to see that it runs; no test looks at the time.
"""
