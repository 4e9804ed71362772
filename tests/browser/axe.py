"""What axe has against a page as it is now, by the rules of WCAG 2.2 AA and its own best practice."""

from __future__ import annotations

from playwright.sync_api import Page

from engine.processes import PROJECT

_SOURCE = PROJECT / "tests" / "browser" / "node_modules" / "axe-core" / "axe.min.js"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page) -> list[str]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(_SOURCE.read_text())
    found = page.evaluate(
        "rules => axe.run({ runOnly: { type: 'tag', values: rules }, resultTypes: ['violations'] })", _RULES
    )
    return [
        f"{each['id']}: {node['html'][:200]} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]
