"""Other people's models, inspected: what comes out right, and how long it takes.

    python benchmarks/foreign.py [library ...]

The models are those of tests/test_foreign.py, which checks what is counted; here are the times. Building a model is
left out of them. Budgets: 3 s a model, 6 s for models that detect.
"""

import statistics
import sys
import warnings
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
import foreign

warnings.filterwarnings("ignore")


def is_detection(library, name):
    return name in foreign.DETECTION or name.endswith("detection")


def main(libraries):
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread(s)\n")
    print(f"{'library':30}{'tried':>7}{'right':>7}{'in words':>10}{'median, s':>11}{'slowest, s':>12}")
    late = []
    for library in libraries:
        seen = [foreign.looked_at(library, name) for name in foreign.LIBRARIES[library][1]]
        for one in seen:
            one.model = None  # and its memory
            late += [one] if one.seconds > (6 if is_detection(library, one.name) else 3) else []
        times = [one.seconds for one in seen if not is_detection(library, one.name)]
        right = sum(not one.wrong and not one.words for one in seen)
        words = sum(bool(one.words) for one in seen)
        print(f"{library:30}{len(seen):7}{right:7}{words:10}{statistics.median(times):11.2f}{max(times):12.2f}")
        for one in seen:
            if one.wrong or one.words:
                print(f"  {one.name}: {one.wrong or one.words[:200]}")
            if is_detection(library, one.name):
                print(f"  {one.name}: {one.seconds:.1f} s")
    print(f"\nover the budget: {', '.join(f'{one.name} ({one.seconds:.1f} s)' for one in late) or 'none'}")


if __name__ == "__main__":
    main(sys.argv[1:] or list(foreign.LIBRARIES))
