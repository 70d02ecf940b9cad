"""A key that must be nowhere, the forms in which it could be somewhere, and where to look."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pygit2

CANARY = "sk-canary+Q7/x9=Zv_pL2w8TjR4"
"""Has letters that url-encoding and JSON change, and tells itself by its first twelve."""
FORMS = {
    "plain": CANARY,
    "beginning": CANARY[:12],
    "url": quote(CANARY, safe=""),
    "base64": base64.b64encode(CANARY.encode()).decode(),
    "base64-url": base64.urlsafe_b64encode(CANARY.encode()).decode(),
    "base64-within": base64.b64encode(f"Bearer {CANARY}".encode()).decode(),
    "basic": base64.b64encode(f"user:{CANARY}\n".encode()).decode(),
    "hex": CANARY.encode().hex(),
}
_SOUGHT = {
    **{name: form.encode() for name, form in FORMS.items()},
    "base64-within": FORMS["base64-within"][11:-4].encode(),
    "basic": FORMS["basic"][8:-6].encode(),
    "escaped": CANARY.replace("/", "\\/").encode(),
}


def leaks(data: str | bytes) -> list[str]:
    """Return the forms of the key that are in `data`."""
    raw = data.encode() if isinstance(data, str) else data
    return [name for name, form in _SOUGHT.items() if form in raw]


def everything_in(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield all that lies in a run folder, packed things unpacked, with where that was."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        yield str(path.relative_to(folder)), path.read_bytes()
        if path.suffix == ".db":
            yield from _cells(path)
    for path in folder.rglob("repo.git"):
        repository = pygit2.Repository(str(path))
        for name in repository:
            yield f"{path.name}: object {name}", repository.read(name)[1]


def _cells(path: Path) -> Iterator[tuple[str, bytes]]:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        tables = database.execute("select name from sqlite_master where type = 'table'")
        for (table,) in tables.fetchall():
            for number, cells in enumerate(database.execute(f"select * from [{table}]")):
                for cell in cells:
                    if isinstance(cell, str | bytes):
                        raw = cell.encode() if isinstance(cell, str) else cell
                        yield f"{path.name}: {table} {number}", raw
    database.close()
