"""``python -m edgeproxy``: the same as the console script."""

from edgeproxy.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
