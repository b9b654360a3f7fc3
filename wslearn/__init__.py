"""Learn WebSocket byte by byte: a small server and client in the words of Ktor's plugin, and lessons."""

from wslearn.channels import CLOSE, DROP_OLDEST, SUSPEND, Channels, SharedFlow, bounded, unlimited
from wslearn.client import connect, connect_raw
from wslearn.converters import CborConverter, JsonConverter, MessagePackConverter, ProtobufConverter
from wslearn.dissection import Dissection, Field, HandshakeDissection, dissect, dissect_handshake
from wslearn.errors import (
    ChannelClosed,
    ChannelOverflow,
    ConverterNotFound,
    DeserializeError,
    FrameTooBig,
    HandshakeError,
    PingTimeout,
    ProtocolViolation,
    Stalled,
)
from wslearn.extensions import Codec, Deflate, Extension
from wslearn.frames import Binary, Close, CloseCode, CloseReason, Frame, Opcode, Ping, Pong, Text
from wslearn.link import FaultyLink
from wslearn.options import WebSockets
from wslearn.server import Application, Server
from wslearn.session import RawSession, Session
from wslearn.simulation import simulate
from wslearn.trace import Chunk, Trace

__all__ = [
    "CLOSE",
    "DROP_OLDEST",
    "SUSPEND",
    "Application",
    "Binary",
    "CborConverter",
    "ChannelClosed",
    "ChannelOverflow",
    "Channels",
    "Chunk",
    "Close",
    "CloseCode",
    "CloseReason",
    "Codec",
    "ConverterNotFound",
    "Deflate",
    "DeserializeError",
    "Dissection",
    "Extension",
    "FaultyLink",
    "Field",
    "Frame",
    "FrameTooBig",
    "HandshakeDissection",
    "HandshakeError",
    "JsonConverter",
    "MessagePackConverter",
    "Opcode",
    "Ping",
    "PingTimeout",
    "Pong",
    "ProtobufConverter",
    "ProtocolViolation",
    "RawSession",
    "Server",
    "Session",
    "SharedFlow",
    "Stalled",
    "Text",
    "Trace",
    "WebSockets",
    "bounded",
    "connect",
    "connect_raw",
    "dissect",
    "dissect_handshake",
    "simulate",
    "unlimited",
]
