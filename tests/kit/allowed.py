"""Values that a JSON schema allows, at random: of the part of JSON Schema that the chart's schema is written in."""

import functools
import re
import string
from random import Random

import jsonschema

KNOWN = {
    *(
        "$defs",
        "$ref",
        "$schema",
        "title",
        "description",
        "type",
        "enum",
        "const",
        "anyOf",
        "allOf",
        "not",
        "if",
        "then",
    ),
    *(
        "properties",
        "required",
        "additionalProperties",
        "propertyNames",
        "maxProperties",
        "items",
        "minItems",
        "maxItems",
    ),
    *("pattern", "minLength", "maxLength", "minimum", "maximum"),
}
LETTERS = string.ascii_letters + string.digits + string.punctuation + " äß漢字ж😀\u00a0"


class Allowed:
    """A property that is named in `samples` is one of those."""

    def __init__(self, schema, samples, seed):
        self.schema = schema
        self.samples = samples
        self.random = Random(seed)

    def value(self):
        return self.of(self.schema)

    def of(self, rules):
        assert set(rules) <= KNOWN, f"{set(rules) - KNOWN} would not be kept to"
        if not {"if", "not", "allOf", "maxLength"} & set(rules):
            return self.plain(rules)
        # What narrows the rest is left to a validator.
        narrow = jsonschema.Draft7Validator({**rules, "$defs": self.schema["$defs"]})
        return next(value for value in iter(lambda: self.plain(rules), self) if narrow.is_valid(value))

    def plain(self, rules):
        if "$ref" in rules:
            return self.of(self.schema["$defs"][rules["$ref"].removeprefix("#/$defs/")])
        if "enum" in rules:
            return self.random.choice(rules["enum"])
        if "const" in rules:
            return rules["const"]
        for branches in ("anyOf", "allOf"):
            if branches in rules and "type" not in rules:
                return self.of(self.random.choice(rules[branches]) if branches == "anyOf" else rules[branches][0])
        kind = self.random.choice([rules["type"]] if isinstance(rules["type"], str) else rules["type"])
        return getattr(self, kind)(rules)

    def string(self, rules):
        if "pattern" in rules:
            return self.text(re._parser.parse(rules["pattern"]))
        return "".join(self.random.choices(LETTERS, k=self.random.randint(rules.get("minLength", 0), 12)))

    def integer(self, rules):
        least, most = rules.get("minimum", -1000), rules.get("maximum", 1 << 31)
        return self.random.choice(
            [least, most, self.random.randint(least, most), min(most, least + self.random.randint(0, 99))]
        )

    def number(self, rules):
        return self.random.choice(
            [rules["minimum"], rules["maximum"], self.random.uniform(rules["minimum"], rules["maximum"])]
        )

    def boolean(self, _):
        return self.random.random() < 0.5

    def null(self, _):
        return None

    def array(self, rules):
        least = rules.get("minItems", 0)
        return [self.of(rules["items"]) for _ in range(self.random.randint(least, max(least, 3)))]

    def object(self, rules):
        if rules.get("maxProperties") == 0:
            return {}
        made = {}
        if (rest := rules.get("additionalProperties", False)) is not False:
            names = {"type": "string", "minLength": 1, **rules.get("propertyNames", {})}
            made |= {self.of(names): self.of(rest) for _ in range(self.random.randint(0, 3))}
        for key, rule in rules.get("properties", {}).items():
            if key in rules.get("required", []) or self.random.random() < 0.6:
                made[key] = self.random.choice(self.samples[key]) if key in self.samples else self.of(rule)
        return made

    def text(self, parts):
        """A text that a parsed pattern matches."""
        return "".join(self.part(str(kind).lower(), value) for kind, value in parts)

    def part(self, kind, value):
        if kind == "literal":
            return chr(value)
        if kind == "in":
            return self.random.choice(letters(tuple(value)))
        if kind == "branch":
            return self.text(self.random.choice(value[1]))
        if kind == "subpattern":
            return self.text(value[3])
        if kind == "max_repeat":
            least, most, what = value
            return "".join(self.text(what) for _ in range(self.random.randint(least, min(most, least + 8))))
        assert kind == "at", f"{kind} is in no pattern so far"
        return ""


@functools.cache
def letters(members):
    """Those in a class of a pattern. Few patterns have the same class thousands of times."""
    return [letter for letter in LETTERS if among(letter, members)]


def among(letter, members):
    """Whether a letter is in a class of a pattern."""
    kinds = {str(kind).lower() for kind, _ in members}
    found = any(
        (str(kind).lower() == "literal" and ord(letter) == value)
        or (str(kind).lower() == "range" and value[0] <= ord(letter) <= value[1])
        or (str(kind).lower() == "category" and letter.isspace() == str(value).lower().endswith("category_space"))
        for kind, value in members
    )
    return found != ("negate" in kinds)
