"""A still picture in the theme of the notebook: on paper by day, on slate by night.

Here is how a picture that is drawn already is shown; what is in it is drawn elsewhere.
"""

from __future__ import annotations

from typing import Any

import traitlets

from wslearn.lab.view import View, module, style


class Still(View):
    """Shows a PNG, with its text for who does not see it; without a kernel it is the PNG on paper."""

    _esm = module("still")
    _css = style("still")
    png = traitlets.Bytes().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)

    def plain(self) -> str:
        return self.text

    def show(self, png: bytes, text: str) -> None:
        """Show another picture in the place of this one."""
        with self.hold_sync():
            self.png, self.text = png, text

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        del data["text/html"]
        return {**data, "image/png": self.png}, metadata
