"""What notebooks look through: views of frames, options and pings, and the checked exercises.

Each view is a widget with a text and an HTML form for where there is no kernel. matplotlib is only
imported by `wslearn.lab.plots`.
"""

import logging

try:
    import anywidget  # noqa: F401
except ImportError as error:
    raise ImportError("wslearn.lab needs ipywidgets and anywidget: pip install 'wslearn[lab]'") from error

from wslearn.lab.bit_map import BitMap
from wslearn.lab.board import Board
from wslearn.lab.browser_client import BrowserClient
from wslearn.lab.byte_strip import Bits, ByteStrip
from wslearn.lab.close_states import CloseStates
from wslearn.lab.conversation import Conversation
from wslearn.lab.diploma import Diploma
from wslearn.lab.exercises import exercise
from wslearn.lab.frame_editor import FrameEditor
from wslearn.lab.frame_inspector import FrameInspector
from wslearn.lab.handshake import Handshake
from wslearn.lab.ladder import Ladder
from wslearn.lab.options_panel import LinkPanel, OptionsPanel
from wslearn.lab.page_client import PageClient
from wslearn.lab.ping_plot import PingPlot
from wslearn.lab.predictions import predict

# On its first import, and without a folder to write to, it would speak of its caches in a lesson's outputs.
logging.getLogger("matplotlib").setLevel(logging.ERROR)

__all__ = [
    "BitMap",
    "Bits",
    "Board",
    "BrowserClient",
    "ByteStrip",
    "CloseStates",
    "Conversation",
    "Diploma",
    "FrameEditor",
    "FrameInspector",
    "Handshake",
    "Ladder",
    "LinkPanel",
    "OptionsPanel",
    "PageClient",
    "PingPlot",
    "exercise",
    "predict",
]
