"""What mkdocs cannot take from docs/ as it is: pages made of other files, and links that leave the folder."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from mkdocs.structure.files import File, Files

from sparse_ap.cli.commands import main

ROOT = Path(__file__).parent.parent
# Where files beside docs/ are on the site; a link to any other becomes its text.
PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
LINK = re.compile(r"\[(?P<text>[^][]+)\]\((?P<path>[^):#]+)(?P<place>#[^)]*)?\)")
# A heading for readers of the file; the site's own has the signature, and the place keeps its name.
HEADING = re.compile(r"^### `(\w+)`\n\n(?=::: )", re.MULTILINE)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made of files beside ``docs/``, and of the help of the commands."""
    for source, page in PAGES.items():
        content = (ROOT / source).read_text(encoding="utf-8")
        # The first page alone in its tab needs no list of pages beside it.
        hidden = "---\nhide: [navigation]\n---\n" if page == "index.md" else ""
        files.append(File.generated(config, page, content=hidden + content))
    for example in examples():
        content = example_page(example)
        files.append(File.generated(config, f"examples/{example.stem}.md", content=content))
    files.append(File.generated(config, "commands.md", content="\n".join(commands_page())))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Return a page whose links lead to pages of the site."""
    made = {new: old for old, new in PAGES.items()}.get(page.file.src_uri)
    source = ROOT / (made or f"docs/{page.file.src_uri}")
    linked = LINK.sub(lambda link: site_link(link, source, page.file.src_uri), markdown)
    return HEADING.sub(r"[](){ #\1 }\n\n", linked)


def site_link(link: re.Match[str], source: Path, page: str) -> str:
    """Return a link between files of the project as one between pages of the site, or as plain text."""
    target = (source.parent / link["path"]).resolve()
    if not target.is_relative_to(ROOT):
        return link[0]
    path = target.relative_to(ROOT)
    if str(path) in PAGES:
        on_site = Path(PAGES[str(path)])
    elif path.parts[0] == "docs":
        on_site = path.relative_to("docs")
    elif path in {example.relative_to(ROOT) for example in examples()}:
        on_site = path.with_suffix(".md")
    else:
        return link["text"]
    up = "../" * page.count("/")
    return f"[{link['text']}]({up}{on_site.as_posix()}{link['place'] or ''})"


def examples() -> list[Path]:
    """Return the programs of ``examples/``."""
    return sorted((ROOT / "examples").glob("*.py"))


def example_page(path: Path) -> str:
    """Return the page of one example: the first line of its docstring, and the program."""
    text = path.read_text(encoding="utf-8")
    title = (ast.get_docstring(ast.parse(text)) or path.stem).splitlines()[0].rstrip(".")
    return f"# {title}\n\n`python examples/{path.name}`\n\n```python\n{text}```\n"


def commands_page() -> Iterator[str]:
    """Yield the lines of the page of all commands: what ``--help`` prints after each."""
    yield "# Commands\n\nWhat `--help` prints. [Reference](reference.md#sparse-ap) has a line on each.\n"
    for command in sorted(main.commands):
        said = CliRunner().invoke(main, [command, "--help"], prog_name="sparse-ap", catch_exceptions=False)
        yield f"## sparse-ap {command}\n\n```text\n{said.output}```\n"
