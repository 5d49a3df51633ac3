"""Links of the repository's own texts, as links between the site's pages."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

CODE = re.compile(r"(^```.*?^```|`[^`\n]*`)", re.DOTALL | re.MULTILINE)
TARGET = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")


def relinked(text: str, source: str, page: str, pages: Mapping[str, str]) -> str:
    """Markdown whose links lead to pages.

    Args:
        text: Markdown, as it stands in the repository.
        source: the file that it stands in, from the repository's root.
        page: the page that it becomes, from the site's root.
        pages: {file or folder of the repository: its page, or its copy, in the site}.

    LookupError for a link to what is not in the site. Links to elsewhere, and within a page, stay; code is left alone.

    >>> relinked("[next](02_b.ipynb#c)", "notebooks/01_a.ipynb", "lessons/01_a.md", {"notebooks/02_b.ipynb": "b.md"})
    '[next](../b.md#c)'
    """

    def led(match: re.Match[str]) -> str:
        path, mark, anchor = match[1].partition("#")
        if not path or "://" in path or path.startswith("mailto:"):
            return match[1]
        meant = os.path.normpath(PurePosixPath(source).parent / path)
        if meant not in pages:
            raise LookupError(f"{source} links to {path}, which the site does not have: enter its page in build.py.")
        return os.path.relpath(pages[meant], PurePosixPath(page).parent) + mark + anchor

    parts = CODE.split(text)
    return "".join(part if i % 2 else TARGET.sub(led, part) for i, part in enumerate(parts))
