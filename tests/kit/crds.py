"""What kinds that Kubernetes does not have take, as far as the chart uses them: JSON schemas after the public
documentation of the Prometheus operator (v1), KEDA (v1alpha1), the Gateway API (v1) and External Secrets (v1)."""

import jsonschema

NAME = {"type": "string", "pattern": r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"}
WORD = {"type": "string", "minLength": 1}
LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
DURATION = {
    "type": "string",
    "pattern": r"^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$",
}


def table(required, **properties):
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def array(items, **more):
    return {"type": "array", "items": items, **more}


SELECTOR = table([], matchLabels=LABELS)

SCRAPE = table(
    ["port"],
    port=WORD,
    path={"type": "string", "pattern": "^/"},
    interval=DURATION,
    scrapeTimeout=DURATION,
    scheme={"enum": ["http", "https"]},
    tlsConfig=table([], insecureSkipVerify={"type": "boolean"}),
    authorization=table(["credentials"], type=WORD, credentials=table(["key"], name=WORD, key=WORD)),
    relabelings=array(table([], action={"enum": ["replace"]}, targetLabel=WORD, replacement={"type": "string"})),
)

RULE = {
    **table(
        ["expr"],
        alert=WORD,
        record={"type": "string", "pattern": r"^[a-zA-Z_:][a-zA-Z0-9_:]*$"},
        expr=WORD,
        **{"for": DURATION},
        keep_firing_for=DURATION,
        labels=LABELS,
        annotations=LABELS,
    ),
    "oneOf": [{"required": ["alert"]}, {"required": ["record"]}],
}

TRIGGER = table(["type", "metadata"], type=WORD, metadata=LABELS, name=WORD, metricType=WORD)

ROUTE_RULE = table(
    [],
    matches=array(
        table([], path=table([], type={"enum": ["PathPrefix", "Exact"]}, value={"type": "string", "pattern": "^/"}))
    ),
    timeouts=table([], request={"type": "string", "pattern": r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"}),
    backendRefs=array(table(["name"], name=NAME, port={"type": "integer", "minimum": 1, "maximum": 65535})),
)

SPECS = {
    ("monitoring.coreos.com/v1", "ServiceMonitor"): table(
        ["selector", "endpoints"], selector=SELECTOR, endpoints=array(SCRAPE, minItems=1)
    ),
    ("monitoring.coreos.com/v1", "PodMonitor"): table(
        ["selector"], selector=SELECTOR, podMetricsEndpoints=array(SCRAPE, minItems=1)
    ),
    ("monitoring.coreos.com/v1", "PrometheusRule"): table(
        ["groups"], groups=array(table(["name"], name=WORD, interval=DURATION, rules=array(RULE)))
    ),
    ("keda.sh/v1alpha1", "ScaledObject"): table(
        ["scaleTargetRef", "triggers"],
        scaleTargetRef=table(["name"], apiVersion=WORD, kind=WORD, name=NAME),
        minReplicaCount={"type": "integer", "minimum": 0},
        maxReplicaCount={"type": "integer", "minimum": 1},
        pollingInterval={"type": "integer", "minimum": 1},
        cooldownPeriod={"type": "integer", "minimum": 0},
        triggers=array(TRIGGER, minItems=1),
    ),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): table(
        ["parentRefs", "rules"],
        parentRefs=array(
            table(
                ["name"],
                group={"type": "string"},
                kind=WORD,
                namespace=NAME,
                name=NAME,
                sectionName=NAME,
                port={"type": "integer", "minimum": 1, "maximum": 65535},
            ),
            maxItems=32,
        ),
        hostnames=array(
            {
                "type": "string",
                "maxLength": 253,
                "pattern": r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
            },
            maxItems=16,
        ),
        rules=array(ROUTE_RULE, minItems=1, maxItems=16),
    ),
    ("external-secrets.io/v1", "ExternalSecret"): table(
        ["secretStoreRef", "target", "data"],
        refreshInterval=DURATION,
        secretStoreRef=table(["name"], kind={"enum": ["SecretStore", "ClusterSecretStore"]}, name=NAME),
        target=table(["name"], name=NAME),
        data=array(
            table(
                ["secretKey", "remoteRef"],
                secretKey={"type": "string", "pattern": r"^[-._a-zA-Z0-9]{1,253}$"},
                remoteRef=table(["key"], key=WORD, property=WORD, version=WORD),
            )
        ),
    ),
}


def check(found):
    """Raises jsonschema.ValidationError. A kind that is not here is a KeyError."""
    spec = SPECS[found["apiVersion"], found["kind"]]
    metadata = table(["name"], name=NAME, labels=LABELS, annotations=LABELS)
    whole = table(["metadata", "spec"], apiVersion=WORD, kind=WORD, metadata=metadata, spec=spec)
    jsonschema.Draft7Validator(whole).validate(found)
