"""``python -m engine`` is ``pulumi``."""

from engine.cli.main import main

if __name__ == "__main__":
    main()
