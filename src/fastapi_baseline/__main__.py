"""`python -m fastapi_baseline` is the `baseline` command."""

from fastapi_baseline.cli import main

if __name__ == "__main__":
    main()
