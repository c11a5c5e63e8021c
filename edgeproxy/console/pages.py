"""Our own pages' templates: one Jinja2 environment, everything escaped, nothing undefined.

Templates are package files beside this module.  Called by the modules of ``console`` that make pages.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from jinja2 import Environment, Template


class Templates:
    """The environment, made when the first page is: most workers never make one."""

    def get_template(self, name: str) -> Template:
        return self.environment.get_template(name)

    @cached_property
    def environment(self) -> Environment:
        from jinja2 import Environment, PackageLoader, StrictUndefined

        return Environment(
            loader=PackageLoader("edgeproxy.console", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=False,
        )


PAGES: Final = Templates()


def ascii_html(text: str) -> bytes:
    """HTML text for a page of any ASCII-compatible charset: other characters become references."""
    return text.encode("ascii", "xmlcharrefreplace")
