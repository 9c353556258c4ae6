"""The settings of the server as docs/CONFIGURATION.md lists them, and what the chart's values may say of them."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/CONFIGURATION.md"

BY_THE_CHART = {
    "load_mode": "loadMode",
    "default_model": "defaultModel",
    "server.port": "service.containerPort",
    "server.grace": "shutdown.graceSeconds",
    "server.drain": "shutdown.drainSeconds",
    "store.cache_dir": "cache",
    "jobs.dir": "jobs",
}
"""Settings that other values decide, because the chart has to know them."""


@dataclass(frozen=True)
class Setting:
    key: str
    """With its section, `server.port`; of a model without: `preload`."""
    takes: str
    secret: bool
    of_model: bool


def settings():
    """Every setting, in the order of the page."""
    section, found = "", {}
    for line in PAGE.read_text().splitlines():
        if heading := re.match(r"## (?:`\[(.+)\]`|General)", line):
            section = heading[1] or ""
        elif row := re.match(r"\| `([^`]+)` \| `[^`]*` \| (.*?) \| ([^|]*) \| (?:yes)? ?\| ", line):
            of_model = section == "models.<name>"
            key = row[1] if of_model or not section else f"{section}.{row[1]}"
            found[of_model, key] = Setting(key, row[3], "Never shown." in row[2], of_model)
    assert len(found) > 70, "the tables of the page are not written as they were"
    return list(found.values())


# === What settings take, as JSON schemas ===

CONTROL = r"\x00-\x1f\x7f-\x9f"
DARK = rf"[^\s{CONTROL}]"
URL = rf"https?://[^\s/,{CONTROL}]+(/[^\s,{CONTROL}]*)?"
ORIGIN = rf"(\*|https?://[^\s/,{CONTROL}]+)"
LEVEL = "(off|error|warn|info|debug|trace)"
BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
NAME = r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*"
MODEL = f"{NAME}(/{NAME})?(@{NAME}(/{NAME})*)?"
"""A name, with or without an organisation and a revision."""
BUCKET = r"[a-z0-9](\.?[a-z0-9_-]){2,221}"
KEY = rf"[^\s/?#{CONTROL}][^\s?#{CONTROL}]*"
SOURCE = (
    rf"hf://{MODEL}|embedded:{NAME}|file:/{DARK}*"
    rf"|((gs|s3)://{BUCKET}(/{KEY})?|https://[A-Za-z0-9.-]+(:[0-9]+)?/{KEY})(#sha256=[0-9a-f]{{64}})?"
)


def text(pattern):
    return {"type": "string", "pattern": pattern}


SOMETHING = text(rf"^[^{CONTROL}]*{DARK}[^{CONTROL}]*$")


def list_of(item):
    """As an array, or as one text with commas."""
    return {"anyOf": [text(f"^{item}(, ?{item})*$"), {"type": "array", "items": text(f"^{item}$"), "minItems": 1}]}


KINDS = {
    "flag": {"type": "boolean"},
    "count": {"type": "integer", "minimum": 1, "maximum": 4294967295},
    "ownPort": {"type": "integer", "minimum": 0, "maximum": 65535},
    "share": {"type": "number", "minimum": 0, "maximum": 1},
    "duration": {
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": 1000000000},
            text(r"^[0-9]{1,9}(\.[0-9]{1,3})? ?(ms|s|m|min|h|d)?$"),
        ]
    },
    "size": {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 9007199254740991},
            text(r"^([1-9][0-9]{0,17}|[1-9][0-9]{0,5}(\.[0-9]{1,3})? ?[kKMGT]i?B?)$"),
        ]
    },
    "word": text("^[!-~]+$"),
    "text": SOMETHING,
    "texts": {"anyOf": [SOMETHING, {"type": "array", "items": SOMETHING, "minItems": 1}]},
    "url": text(f"^{URL}$"),
    "urls": list_of(URL),
    "origins": list_of(ORIGIN),
    "route": text(f"^/{DARK}*$"),
    "address": {"anyOf": [text(rf"^{BYTE}(\.{BYTE}){{3}}$"), {"enum": ["::", "::1"]}]},
    "device": text("^(auto|cpu|metal|cuda(:[0-9]{1,2})?)$"),
    "level": text(f"^([a-z_:]+=)?{LEVEL}(,([a-z_:]+=)?{LEVEL})*$"),
    "source": text(f"^({SOURCE})$"),
    "cpuKernels": {"enum": ["auto", "avx512", "avx2", "portable", "candle"]},
    "dtype": {"enum": ["auto", "f32", "f16", "bf16", "q8"]},
    "program": text(f"^(auto|off|/{DARK}*)$"),
    "format": {"enum": ["auto", "pretty", "json"]},
    "failure": {"enum": ["retry", "exit", "lazy"]},
    "unknownFields": {"enum": ["refuse", "warn"]},
    "weights": {"enum": ["map", "copy"]},
    "timeOrigin": {"enum": ["container", "sound"]},
    "verify": {"enum": ["fetch", "load"]},
    "tasks": list_of("(transcribe|synthesize|convert)"),
    "sha256": text("^[0-9a-f]{64}$"),
    "isolation": {"enum": ["auto", "required", "off"]},
    "user": text("^[0-9]{1,9}:[0-9]{1,9}$"),
}

TAKES = {
    "true or false": "flag",
    "a whole number of at least 1": "count",
    "a port, 0 to 65535": "ownPort",
    "a number from 0 to 1": "share",
    "a duration such as 500ms, 30s, 5m or 2h": "duration",
    "a size of at least 1 byte, such as 100MB or 8GiB": "size",
    "visible ASCII without blanks": "word",
    "a text": "text",
    "a name": "text",
    "a file": "text",
    "a folder": "text",
    "names, separated by commas": "texts",
    "folders, separated by colons": "texts",
    "an http:// or https:// address": "url",
    "an http:// or https:// address, or several, separated by commas": "urls",
    "origins such as https://app.example, separated by commas, or * for any": "origins",
    "a path that begins with a slash": "route",
    "an IP address such as 0.0.0.0, 127.0.0.1 or ::": "address",
    "auto, cpu, cuda, cuda:0, cuda:1, … or metal": "device",
    "off, error, warn, info, debug or trace, or a filter such as sconce=debug,actix_server=warn": "level",
    "hf://org/name@revision, gs://bucket/prefix, s3://bucket/prefix, https://host/file, file:/folder or embedded:name": (
        "source"
    ),
    "auto, avx512, avx2, portable or candle": "cpuKernels",
    "auto, f32, f16, bf16 or q8": "dtype",
    "auto, off or the path of a program": "program",
    "auto, pretty or json": "format",
    "retry, exit or lazy": "failure",
    "refuse or warn": "unknownFields",
    "map or copy": "weights",
    "container or sound": "timeOrigin",
    "fetch or load": "verify",
    'a program and its arguments, such as ["python3", "worker.py"]': "texts",
    "transcribe, synthesize or convert, or several of them, separated by commas": "tasks",
    "64 hexadecimal digits": "sha256",
    "auto, required or off": "isolation",
    "the numbers of a user and a group, such as 65534:65534": "user",
}
"""The kind of what a setting takes, by the words of the page."""

SIZE_OR = "auto, none, or a size such as 100MB or 8GiB"


def values_of(setting):
    """The JSON schema of a setting's values. `…, or none` is one of a kind or the word."""
    if setting.takes in TAKES:
        return {"$ref": f"#/$defs/{TAKES[setting.takes]}"}
    if setting.takes == SIZE_OR:
        return {"anyOf": [{"enum": ["auto", "none"]}, {"$ref": "#/$defs/size"}]}
    kind, _, word = setting.takes.rpartition(", or ")
    assert kind in TAKES, f"{setting.key} takes {setting.takes!r}: {__file__} has to say what that is as JSON"
    reference = {"$ref": f"#/$defs/{TAKES[kind]}"}
    return reference if TAKES[kind] in ("text", "texts") else {"anyOf": [{"enum": [word]}, reference]}


def closed(properties):
    return {"type": "object", "properties": properties, "additionalProperties": False}


def config_schema():
    """What the value `config` may hold: every setting that is no secret and that the chart does not decide."""
    schema = closed({})
    for setting in settings():
        if not (setting.of_model or setting.secret or setting.key in BY_THE_CHART):
            at, path = schema, setting.key.split(".")
            for section in path[:-1]:
                at = at["properties"].setdefault(section, closed({}))
            at["properties"][path[-1]] = values_of(setting)
    return schema


def models_schema():
    """What the value `models` may hold. A key such as `parts.<part>` is a table of its own."""
    properties = {}
    for setting in settings():
        if setting.of_model:
            table, _, rest = setting.key.partition(".")
            value = values_of(setting)
            properties[table] = {"type": "object", "additionalProperties": value} if rest else value
    return {"type": "object", "propertyNames": {"pattern": f"^({MODEL})$"}, "additionalProperties": closed(properties)}


OPEN = {"audio.speaker_network", "audio.voice_network", "speech.lexicon"}
"""Files that hold no secret."""


def secret_names():
    """Settings that a Secret may give: those that are never shown, the name that belongs to one, and files of them."""
    files = [setting.key for setting in settings() if setting.takes == "a file, or none" and setting.key not in OPEN]
    hidden = [setting.key for setting in settings() if setting.secret]
    return sorted([*hidden, *files, "remote.s3.access_key_id", "remote.gcs.credentials"])


# === The file ===


def written(value, indent=0):
    """JSON with everything on one line that fits on one."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) + indent <= 110 or not isinstance(value, dict | list):
        return line
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        items = [f"{pad}{json.dumps(key)}: {written(item, indent + 2)}" for key, item in value.items()]
        return "{\n" + ",\n".join(items) + "\n" + " " * indent + "}"
    return "[\n" + ",\n".join(pad + written(item, indent + 2) for item in value) + "\n" + " " * indent + "]"


def completed(schema):
    """The schema of the chart's values with the parts that follow from the page."""
    schema = json.loads(json.dumps(schema))
    schema["$defs"] |= KINDS | {"secret": {"enum": secret_names()}}
    schema["properties"] |= {"config": config_schema(), "models": models_schema()}
    return written(schema) + "\n"
