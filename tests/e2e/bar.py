"""The preview bar as a person uses it in Chromium, though it lives in a closed shadow root.

Playwright does not look into closed roots, and neither can the page: the debugger can.  Clicks and keys are real ones.
"""

from __future__ import annotations

from typing import Any

from playwright.sync_api import CDPSession, Page

HOST = "edge-preview"


class Bar:
    """The bar of whatever the page shows now."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._cdp: CDPSession = page.context.new_cdp_session(page)

    def _root(self) -> str | None:
        """The shadow root as a remote object."""
        document = self._cdp.send("DOM.getDocument", {"depth": 0})["root"]["nodeId"]
        host = self._cdp.send("DOM.querySelector", {"nodeId": document, "selector": HOST})["nodeId"]
        if not host:
            return None
        described = self._cdp.send("DOM.describeNode", {"nodeId": host, "depth": 1, "pierce": True})["node"]
        (root,) = described["shadowRoots"]
        assert root["shadowRootType"] == "closed"
        resolved = self._cdp.send("DOM.resolveNode", {"backendNodeId": root["backendNodeId"]})
        return str(resolved["object"]["objectId"])

    def ask(self, function: str, *arguments: object) -> Any:
        """What a JavaScript function says of the root, its ``this``."""
        root = self._root()
        assert root is not None, f"{self._page.url} has no preview bar"
        told = self._cdp.send(
            "Runtime.callFunctionOn",
            {
                "objectId": root,
                "functionDeclaration": f"function(...a) {{ {function} }}",
                "arguments": [{"value": one} for one in arguments],
                "returnByValue": True,
            },
        )
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    @property
    def there(self) -> bool:
        return self._root() is not None

    @property
    def said(self) -> str:
        """What is being previewed."""
        return str(self.ask("return this.querySelector('.said').textContent.trim()"))

    def text(self, selector: str = ".all") -> str:
        """The words that somebody sees there."""
        return str(self.ask("return this.querySelector(a[0]).innerText", selector))

    def html(self) -> str:
        return str(self.ask("return this.innerHTML"))

    def click(self, selector: str, *, text: str | None = None) -> None:
        """A click with the mouse on the first such element (with this text) that is to be seen."""
        box = self.ask(
            """const found = [...this.querySelectorAll(a[0])].filter(one => one.checkVisibility()
                 && (a[1] === null || one.textContent.trim() === a[1]));
               if (!found.length) return null;
               found[0].scrollIntoView({block: "nearest"});
               const box = found[0].getBoundingClientRect();
               return [box.x + box.width / 2, box.y + box.height / 2]""",
            selector,
            text,
        )
        assert box is not None, f"{selector} {text or ''} is not to be seen in the bar"
        self._page.mouse.click(*box)

    def choose(self, name: str, value: str) -> None:
        """Choose or write a value in a field of the panel."""
        self.ask("this.querySelector(`[name=${a[0]}]`).value = a[1]", name, value)

    def change(self, **choices: str) -> None:
        """Open the panel, choose, and press Show."""
        self.click("button", text="Change")
        for name, value in choices.items():
            self.choose(name, value)
        with self._page.expect_navigation():
            self.click("button", text="Show")

    def leave(self) -> None:
        with self._page.expect_navigation():
            self.click("button", text="Leave")

    @property
    def focused(self) -> str:
        """The name of what has the keyboard's focus inside the bar; "" when nothing has."""
        return str(
            self.ask("const at = this.activeElement; return at ? at.ariaLabel || at.textContent.trim() || at.name : ''")
        )
