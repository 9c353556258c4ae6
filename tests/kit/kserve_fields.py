"""Holds manifests on its standard input against the types of the `kserve` package: kserve_fields.py < manifests.yaml.

Needs a Python that has `kserve`. Prints, as JSON, a list for each manifest: the fields that the types do not know, or that have
another type.
"""

import json
import re
import sys

import kserve.models
import kubernetes.client
import yaml

KINDS = {"ServingRuntime": "V1alpha1ServingRuntime", "InferenceService": "V1beta1InferenceService"}
PLAIN = {"str": str, "int": int, "float": (int, float), "bool": bool, "datetime": str, "object": object}


def faults(value, kind, where):
    """What is wrong with a value of that type, as the generated clients write types."""
    if found := re.fullmatch(r"list\[(.+)]", kind):
        if not isinstance(value, list):
            return [f"{where} should be a list"]
        return [fault for at, one in enumerate(value) for fault in faults(one, found[1], f"{where}[{at}]")]
    if found := re.fullmatch(r"dict\(str, (.+)\)", kind):
        return [fault for key, one in value.items() for fault in faults(one, found[1], f"{where}.{key}")]
    if kind in PLAIN:
        return [] if isinstance(value, PLAIN[kind]) else [f"{where} should be {kind}, and is {value!r}"]
    known = getattr(kserve.models, kind, None) or getattr(kubernetes.client, kind, None)
    # Quantities and ports, which may be text or numbers.
    return fields(value, known, where) if hasattr(known, "openapi_types") else []


def fields(value, known, where):
    names = {written: name for name, written in known.attribute_map.items()}
    found = [f"{where}.{name} is unknown" for name in value if name not in names]
    for name in value.keys() & names.keys():
        found += faults(value[name], known.openapi_types[names[name]], f"{where}.{name}")
    return found


if __name__ == "__main__":
    manifests = yaml.safe_load_all(sys.stdin)
    json.dump([faults(manifest, KINDS[manifest["kind"]], manifest["kind"]) for manifest in manifests], sys.stdout)
