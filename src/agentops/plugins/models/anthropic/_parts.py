"""The content of a chat message, part by part, as Anthropic's blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from agentops.plugins.models.anthropic._faults import unsayable
from agentops.plugins.models.anthropic._reading import NULL, read

if TYPE_CHECKING:
    from collections.abc import Iterator

Block: TypeAlias = dict[str, Any]
Content: TypeAlias = str | list[msgspec.Raw] | None

_MEDIA: Final = {"image/jpg": "image/jpeg"}


class _Url(msgspec.Struct):
    url: str


class _File(msgspec.Struct):
    file_data: str | None = None
    filename: str | None = None


class _Part(msgspec.Struct):
    type: str
    text: str = ""
    refusal: str = ""
    image_url: _Url | str | None = None
    file: _File | None = None
    cache_control: msgspec.Raw = NULL


def blocks(content: Content, param: str) -> list[Block | msgspec.Raw]:
    """What is empty is left out, for Anthropic refuses it; parts that OpenAI does not know are sent as they came."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return [block for index, raw in enumerate(content or ()) for block in _blocks(raw, f"{param}[{index}]")]


def marked(block: Block | msgspec.Raw, marker: msgspec.Raw) -> Block:
    """The block, as one up to which the provider is to keep what it read."""
    found = msgspec.json.decode(block, type=dict[str, Any]) if isinstance(block, msgspec.Raw) else block
    return {**found, "cache_control": marker}


def _blocks(raw: msgspec.Raw, param: str) -> Iterator[Block | msgspec.Raw]:
    part = read(raw, _Part, param)
    match part.type:
        case "text" | "refusal":
            if not (text := part.text or part.refusal):
                return
            block: Block = {"type": "text", "text": text}
        case "image_url":
            block = {"type": "image", "source": _image(part.image_url, f"{param}.image_url")}
        case "file":
            block = _document(part.file, f"{param}.file")
        case "input_audio" | "audio":
            raise unsayable(param, "Anthropic's models do not hear; send text")
        case _:
            yield raw
            return
    yield block if part.cache_control == NULL else marked(block, part.cache_control)


def _image(image: _Url | str | None, param: str) -> Block:
    url = image.url if isinstance(image, _Url) else image or ""
    if url.startswith(("https://", "http://")):
        return {"type": "url", "url": url}
    media, data = _of_data_url(url, param, "a data: URL in base64, or an http(s) URL")
    return {"type": "base64", "media_type": _MEDIA.get(media, media), "data": data}


def _document(file: _File | None, param: str) -> Block:
    if file is None or file.file_data is None:
        raise unsayable(param, "Anthropic does not have the files of another provider; send `file_data`")
    media, data = _of_data_url(file.file_data, param, "a data: URL in base64")
    if media != "application/pdf":
        raise unsayable(param, "only PDF documents can be sent; put other text into a text part")
    block: Block = {"type": "document", "source": {"type": "base64", "media_type": media, "data": data}}
    return block | ({"title": file.filename} if file.filename else {})


def _of_data_url(url: str, param: str, wanted: str) -> tuple[str, str]:
    """The media type and the data; what is long is not searched."""
    head, comma, data = url.partition(",")
    media, _, coded = head.removeprefix("data:").partition(";")
    if not (comma and data and head.startswith("data:") and coded.endswith("base64")):
        raise unsayable(param, f"this is not {wanted}")
    return media.lower(), data
