"""`python -m server PATH`, in the folder that holds this one."""

import sys

from .command import main

if __name__ == "__main__":
    sys.exit(main())
