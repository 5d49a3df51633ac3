"""Tables in a saved notebook are as wide as where there is no terminal, whatever terminal the tests are run in.

What a test answers is nobody's progress, and teachers' notebooks are the source of the others.
"""

import os

os.environ.pop("COLUMNS", None)
os.environ["CLASSYKIT_PROGRESS"] = "off"

collect_ignore_glob = ["teacher/*"]
