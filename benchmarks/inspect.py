"""classykit.inspect against its peers: see inspection.py, which this runs.

The file lies in the way of the standard library's module of the same name, and gives that to all who import it.
"""

if __name__ == "__main__":
    import sys

    from inspection import main

    sys.exit(main())

import importlib.util
import os
import sys

spec = importlib.util.spec_from_file_location("inspect", os.path.join(os.path.dirname(os.__file__), "inspect.py"))
sys.modules["inspect"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["inspect"])
