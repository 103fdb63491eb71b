#!/usr/bin/env python3
"""Looks for things that the documentation speaks of as persons.

Reads the first sentence of every doc comment below src and fails on words that only
persons fit: a member does not say, hear or believe, and it is not `who` or `nobody`.
"""

import pathlib
import re
import sys

PERSONS = re.compile(
    r"\b(who|whom|whoever|somebody|someone|nobody|no one|anybody|anyone|everybody|everyone"
    r"|says?|said|saying|hears?|heard|believes?|believed|forgives?|forgiven)\b",
    re.IGNORECASE,
)

# (file, a part of the sentence, why it may stand)
EXCEPTIONS = []


def first_sentences(text):
    """Yields (line, sentence) for each block of `///` or `//!` lines."""
    block, start = [], 0
    for number, line in enumerate(text.splitlines() + [""], 1):
        stripped = line.strip()
        if stripped.startswith(("///", "//!")) and not stripped.startswith("////"):
            if not block:
                start = number
            block.append(stripped[3:].strip())
        elif block:
            paragraph = " ".join(block[: block.index("")] if "" in block else block)
            yield start, re.split(r"(?<=[.!?])\s", paragraph, maxsplit=1)[0]
            block = []


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    used, complaints = set(), []
    for path in sorted((root / "src").rglob("*.rs")):
        name = path.relative_to(root).as_posix()
        for line, sentence in first_sentences(path.read_text(encoding="utf-8")):
            plain = re.sub(r"`[^`]*`", "``", sentence)
            for word in PERSONS.findall(plain):
                excepted = [e for e in EXCEPTIONS if e[0] == name and e[1] in sentence]
                used.update(excepted)
                if not excepted:
                    complaints.append(f"{name}:{line}: `{word}` in: {sentence}")
    complaints += [f"{e[0]}: the exception {e[1]!r} is not needed any more" for e in EXCEPTIONS if e not in used]
    print("\n".join(complaints) or "The documentation speaks of things as things.")
    if complaints:
        print(f"{len(complaints)} sentences: name the thing and what it does, or add an exception with its reason.")
    return 1 if complaints else 0


sys.exit(main())
