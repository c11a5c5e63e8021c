"""The wire: the listening side, its limits, its life from start to drain."""
