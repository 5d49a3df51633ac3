"""Tables in a saved notebook are as wide as where there is no terminal, whatever terminal the tests are run in.

What a test answers is nobody's progress, and teachers' notebooks are the source of the others.
"""

import os

os.environ.pop("COLUMNS", None)
os.environ["CLASSYKIT_PROGRESS"] = "off"
if "PYTEST_XDIST_WORKER" in os.environ:  # a worker a core: a kernel's second thread would only wait for one
    os.environ.setdefault("OMP_NUM_THREADS", "1")

collect_ignore_glob = ["teacher/*"]
