"""`python -m metalock`."""

from metalock.cli import main

if __name__ == "__main__":
    main()
