from __future__ import annotations

import pytest
from bs4 import BeautifulSoup

from lean_agentic.workbench.style import FormatError
from lean_agentic.workbench.tables import Table, TableError


def test_html_has_headers_with_scope_and_escapes() -> None:
    table = Table("Costs <&>", ("policy", "cost", "verdict"), (("a<b", 0.61234, "ok"),), ("", "${:.2f}", ""))
    page = BeautifulSoup(table._repr_html_(), "html.parser")
    assert page.caption.text == "Costs <&>"
    assert [(head.text, head["scope"]) for head in page.select("thead th")] == [
        ("policy", "col"),
        ("cost", "col"),
        ("verdict", "col"),
    ]
    assert page.select_one("tbody th")["scope"] == "row"
    assert page.select_one("tbody th").text == "a<b"
    assert [cell.text for cell in page.select("td")] == ["$0.61", "ok"]
    assert float(page.select("td")[0]["data-value"]) == 0.61234


def test_numbers_have_four_digits_without_a_format() -> None:
    assert Table("t", ("name", "x"), (("a", 1234.567), ("b", 2))).texts() == (("a", "1,235"), ("b", "2"))


def test_misfits_are_refused() -> None:
    with pytest.raises(TableError, match="does not fit"):
        Table("t", ("name", "x"), (("a", 1, 2),))
    with pytest.raises(TableError, match="does not fit"):
        Table("t", ("name", "x"), (("a", 1),), ("",))
    with pytest.raises(FormatError):
        Table("t", ("name", "x"), (("a", 1),), ("", "dollars"))
