"""Run the notebooks from top to bottom and save them with their outputs: python .ci/save_notebooks.py [name ...]

A widget is saved in its HTML form only: without a kernel JupyterLab would show an error in its place.
"""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

os.environ["CLASSYKIT_PROGRESS"] = "off"  # what is done here is nobody's

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"

for path in [FOLDER / name for name in sys.argv[1:]] or sorted(FOLDER.glob("*.ipynb")):
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, resources={"metadata": {"path": str(FOLDER)}}, store_widget_state=False).execute()
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # time stamps
        for output in cell.get("outputs", []):
            if "text/html" in output.get("data", {}):
                output["data"].pop(WIDGET, None)
    nbformat.write(notebook, path)
    print(f"{path.name}: {path.stat().st_size // 1000} kB")
