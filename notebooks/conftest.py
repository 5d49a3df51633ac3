"""Tables in a saved notebook are as wide as where there is no terminal, whatever terminal the tests are run in."""

import os

os.environ.pop("COLUMNS", None)
