"""python -m classykit.teaching notebooks/*.ipynb --students handout --solutions solved"""

from __future__ import annotations

import argparse
import sys

from classykit.errors import ClassyKitError
from classykit.teaching.lesson import make


def main(arguments: list[str] | None = None) -> int:
    """Make what comes from teachers' notebooks, and say what was written; 1 where they are not right."""
    parser = argparse.ArgumentParser(
        prog="python -m classykit.teaching", description="From teachers' notebooks: exercises, students' and solutions."
    )
    parser.add_argument("notebooks", nargs="+")
    parser.add_argument("--students", help="a folder for the notebooks with blanks")
    parser.add_argument("--solutions", help="a folder for the notebooks with answers")
    parser.add_argument("--repository", help="public address that lessons fetch the kit from, in Colab say")
    asked = parser.parse_args(arguments)
    try:
        written = make(asked.notebooks, asked.students, asked.solutions, asked.repository)
    except ClassyKitError as error:
        print(error, file=sys.stderr)
        return 1
    print(*written, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
