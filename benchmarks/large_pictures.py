"""How long pictures of 100 megapixels, and arrays of 9000 × 9000 numbers, take to become an input, and how much memory.

Each in a process of its own, that makes the picture first; memory is the peak beyond what the process had then.
"""

import json
import subprocess
import sys
import tempfile

SOURCES = {
    "JPEG, RGB": "saved('RGB', 'jpg')",
    "PNG, RGB": "saved('RGB', 'png')",
    "PNG, RGBA": "saved('RGBA', 'png')",
    "PNG, 16 bits of grey": "saved('I;16', 'png')",
    "TIFF, floats": "saved('F', 'tif')",
    "PIL image, RGB": "photo('RGB')",
    "array (9000, 9000), float32": "np.random.default_rng(0).random((9000, 9000), np.float32)",
    "array (9000, 9000), float64": "np.random.default_rng(0).random((9000, 9000))",
    "array (9000, 9000, 3), uint16": "np.random.default_rng(0).integers(0, 65536, (9000, 9000, 3), np.uint16)",
    "tensor (3, 9000, 9000), float32": "torch.rand(3, 9000, 9000)",
}
CODE = """if True:
    import json, statistics, sys, time, numpy as np, torch, classykit as ck
    from PIL import Image
    Image.MAX_IMAGE_PIXELS = None

    def photo(mode):
        # as smooth as photographs are: each of the pixels of a small one is spread over eight
        small = Image.fromarray(np.random.default_rng(0).integers(0, 256, (1250, 1250, 3), np.uint8))
        large = small.resize((10_000, 10_000), Image.BICUBIC)
        if mode == "I;16":
            return Image.fromarray(np.asarray(large.convert("L")).astype(np.uint16) * 257)
        return Image.fromarray(np.asarray(large.convert("L"), np.float32) / 255) if mode == "F" else large.convert(mode)

    def saved(mode, kind):
        photo(mode).save(f"{sys.argv[1]}/large.{kind}")
        return f"{sys.argv[1]}/large.{kind}"

    def memory(line):
        return int(dict(line.split(":") for line in open("/proc/self/status"))[line].split()[0]) / 1000

    source = SOURCE
    ck.preprocess("cat")
    open("/proc/self/clear_refs", "w").write("5")
    before, times = memory("VmRSS"), []
    for _ in range(5):
        start = time.perf_counter()
        ck.preprocess(source)
        times.append(time.perf_counter() - start)
    peak, decoding = memory("VmHWM") - before, 0.0
    if isinstance(source, str):
        start = time.perf_counter()
        Image.open(source).load()
        decoding = time.perf_counter() - start
    print(json.dumps([statistics.median(times), min(times), max(times), decoding, peak]))
"""


def main() -> None:
    """Print the table."""
    print("| picture | s, median (range) | of it Pillow's decoding | MB at most |\n|---|---|---|---|")
    for name, source in SOURCES.items():
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-c", CODE.replace("SOURCE", source), folder]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        median, low, high, decoding, peak = json.loads(done.stdout)
        of_it = f"{decoding:.2f}" if decoding else "–"
        print(f"| {name} | {median:.2f} ({low:.2f}–{high:.2f}) | {of_it} | {peak:.0f} |", flush=True)


if __name__ == "__main__":
    main()
