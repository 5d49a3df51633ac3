"""What is asked of the pages once they are built: every link leads somewhere, and nothing is fetched from outside."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: what a browser loads by itself; an <a> is followed by the reader
LOADED = {"src", "srcset", "poster", "data"}
LINKS_THAT_LOAD = {"stylesheet", "preload", "preconnect", "dns-prefetch", "icon", "modulepreload", "prefetch"}
IN_STYLE = re.compile(r"(?:url\(|@import)\s*[\"']?(https?:)?//")


class _Page(HTMLParser):
    """The ids of a page, and what it names."""

    def __init__(self, text: str):
        super().__init__()
        self.ids: set[str] = set()
        self.named: list[tuple[str, bool]] = []  # (address, whether the browser loads it by itself)
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = {name: value or "" for name, value in attrs}
        self.ids |= {of[name] for name in ("id", "name") if name in of}
        loads = bool(LINKS_THAT_LOAD & set(of.get("rel", "").split())) if tag == "link" else False
        if "href" in of and tag != "base":
            self.named.append((of["href"], loads or tag in ("use", "image")))
        self.named += [(of[name], True) for name in LOADED & of.keys()]


def faults(site: Path) -> list[str]:
    """What is wrong with the pages of a folder; empty where nothing is."""
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    wrong = []
    for path, page in pages.items():
        here = path.relative_to(site)
        for address, loads in page.named:
            parts = urlsplit(address)
            if parts.scheme in ("http", "https") or address.startswith("//"):
                if loads:
                    wrong.append(f"{here} loads {address} from outside")
                continue
            if parts.scheme:  # data:, mailto:
                continue
            if here.name == "404.html":
                continue  # shown at any address: its links begin at the server's root
            meant = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not meant.is_file():
                wrong.append(f"{here} names {address}, which is not there")
            elif parts.fragment and meant in pages and unquote(parts.fragment) not in pages[meant].ids | {"__top"}:
                wrong.append(f"{here} names {address}: that page has no such place")
    for path in [*site.rglob("*.css"), *pages]:
        if IN_STYLE.search(path.read_text(encoding="utf-8")):
            wrong.append(f"{path.relative_to(site)} has a style that loads from outside")
    return wrong
