"""What the documents name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = "\n".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")])


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "safety.md").read_text()))))
def test_a_test_that_safety_md_names_is_there(name: str) -> None:
    assert re.search(rf"def {name}\(", TESTS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", document.read_text())

    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_chores_that_documents_name_are_in_the_makefile(document: Path) -> None:
    chores = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    named = set(re.findall(r"`make ([a-z0-9-]+)", document.read_text()))

    assert named <= chores
