"""PURE decisions: what fits for a visitor and a request.  Imports nothing that reads clocks, files, sockets or dice."""
