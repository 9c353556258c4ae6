"""Stand-ins of Google Cloud on loopback: one state, behind the APIs that the real gcloud speaks to, and behind a gcloud
and a docker that only hand their arguments over (for machines without the real ones, and to make them fail)."""

import json
import re
import shlex
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PLACE = "projects/acme/locations/us-central1"
DIGEST = "sha256:" + "ab" * 32

COMMANDS = {
    "artifacts repositories list": "--project --location --filter --format",
    "artifacts repositories create": "--project --location --repository-format --description",
    "artifacts docker tags list": "--project --filter --format --limit",
    "auth configure-docker": "--quiet",
    "ai models list": "--project --region --filter --format",
    "ai models list-version": "--project --region --filter --format --limit",
    "ai models upload": "--project --region --display-name --container-image-uri --container-ports --artifact-uri"
    " --container-health-route --container-predict-route --container-env-vars --container-deployment-timeout-seconds"
    " --container-startup-probe-exec --container-startup-probe-period-seconds --container-startup-probe-timeout-seconds"
    " --container-health-probe-exec --container-health-probe-period-seconds --container-health-probe-timeout-seconds"
    " --parent-model --model-id --version-aliases",
    "ai endpoints list": "--project --region --filter --format",
    "ai endpoints create": "--project --region --display-name",
    "ai endpoints describe": "--project --region --format",
    "ai endpoints deploy-model": "--project --region --deployed-model-id --model --display-name --machine-type"
    " --min-replica-count --max-replica-count --autoscaling-metric-specs --accelerator --service-account --traffic-split",
    "ai endpoints undeploy-model": "--project --region --deployed-model-id",
}
"""What the gcloud that is none understands: commands of the real one, and those of their flags that are used here."""


class Refused(Exception):
    pass


class Cloud:
    """Everything may be changed while it runs."""

    def __init__(self):
        self.repositories = []
        self.tags = {}
        """Digests of images, by the tag."""
        self.models = {}
        """Lists of versions, the oldest first, by the id of the model; each is the `model` of an upload."""
        self.endpoints = {}
        """As the API describes them, by id."""
        self.made = []
        """What was changed, in order."""
        self.refuses = set()
        """Steps that fail, by their names in `made`."""
        self.outlasts = False
        """Whether deploying takes longer than gcloud waits."""
        self.asked = []
        """What the gcloud and the docker that are none were asked, as words."""
        self.pushed = DIGEST
        """The digest of what the docker that is none pushes."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    # === what it can do ===

    def _makes(self, what):
        if what in self.refuses:
            raise Refused(f"told to refuse: {what}")
        self.made.append(what)

    def make_repository(self, name):
        self._makes("repository")
        self.repositories.append(name)

    def upload(self, model, parent=None, name=None):
        self._makes("model")
        versions = self.models.setdefault(parent.split("/")[-1] if parent else name, [])
        assert not (name and versions), "a model of that id is there"
        versions.append({**model, "versionId": str(len(versions) + 1)})

    def make_endpoint(self, name):
        self._makes("endpoint")
        number = str(1000 + len(self.endpoints))
        self.endpoints[number] = {"name": f"{PLACE}/endpoints/{number}", "displayName": name, "deployedModels": []}
        return self.endpoints[number]

    def deploy(self, endpoint, deployed, split):
        self._makes("deployment")
        described = self.endpoints[endpoint]
        if deployed["id"] in (one["id"] for one in described["deployedModels"]):
            raise Refused("there is such a deployed model")
        described["deployedModels"].append(deployed)
        without = {one["id"]: 0 for one in described["deployedModels"]}
        described["trafficSplit"] = without | {deployed["id"] if key == "0" else key: value for key, value in split.items()}

    def undeploy(self, endpoint, deployed):
        self._makes("undeployment")
        described = self.endpoints[endpoint]
        if described.get("trafficSplit", {}).get(deployed) and len(described["deployedModels"]) > 1:
            raise Refused("it has traffic")
        described["deployedModels"] = [one for one in described["deployedModels"] if one["id"] != deployed]
        described["trafficSplit"].pop(deployed)

    # === the APIs ===

    def answer(self, method, path, query, body):
        """What the APIs answer, or None where there is no such thing."""
        if (found := re.fullmatch(rf"/v1/{PLACE}/(.+)", path)) is None:
            return None
        match method, re.split("[/:]", found[1]):
            case "GET", ["repositories"]:
                return {"repositories": [{"name": f"{PLACE}/repositories/{name}"} for name in self.repositories]}
            case "POST", ["repositories"]:
                self.make_repository(query["repositoryId"][0])
                return {"name": f"{PLACE}/operations/1", "done": True, "response": {}}
            case "GET", ["repositories", name]:
                return {"name": f"{PLACE}/repositories/{name}", "format": "DOCKER"} if name in self.repositories else None
            case "GET", ["repositories", repository, "packages", package, "tags"]:
                image, package = f"us-central1-docker.pkg.dev/acme/{repository}/{package}", path.removeprefix("/v1/")[:-5]
                return {
                    "tags": [
                        {"name": f"{package}/tags/{tag.split(':')[1]}", "version": f"{package}/versions/{digest}"}
                        for tag, digest in self.tags.items()
                        if tag.split(":")[0] == image
                    ]
                }
            case "GET", ["models"]:
                return {"models": [{"name": f"{PLACE}/models/{name}"} for name in self.models]}
            case "GET", ["models", name, "listVersions"]:
                return {"models": [{**one, "name": f"{PLACE}/models/{name}"} for one in self.models[name]]}
            case "POST", ["models", "upload"]:
                self.upload(body["model"], body.get("parentModel"), body.get("modelId"))
                return done({"model": f"{PLACE}/models/any"})
            case "GET", ["models", name]:
                model, version = name.split("@")
                return {**self.models[model][int(version) - 1], "supportedDeploymentResourcesTypes": ["DEDICATED_RESOURCES"]}
            case "GET", ["endpoints"]:
                return {"endpoints": list(self.endpoints.values())}
            case "POST", ["endpoints"]:
                return done(self.make_endpoint(body["displayName"]))
            case "GET", ["endpoints", number]:
                return self.endpoints.get(number)
            case "POST", ["endpoints", number, "deployModel"]:
                self.deploy(number, body["deployedModel"], body["trafficSplit"])
                return done({"deployedModel": body["deployedModel"]})
            case "POST", ["endpoints", number, "undeployModel"]:
                self.undeploy(number, body["deployedModelId"])
                return done({})
        return None

    # === the programs that are none ===

    def run(self, program, words):
        """What the program does, as shell."""
        self.asked.append([program, *words])
        code, output, complaint = getattr(self, program)(words)
        said = (f"printf '%s\\n' {shlex.quote(output)};" if output else "") + f"printf '%s\\n' {shlex.quote(complaint)} >&2;"
        return f"{said} exit {code}"

    def docker(self, words):
        """The exit code, the output and the complaint of a command."""
        if words[0] in self.refuses:
            return 1, "", f"told to refuse: {words[0]}"
        if words[0] == "push":
            self.tags[words[1]] = self.pushed
        return 0, "", ""

    def gcloud(self, words):
        """The exit code, the output and the complaint of a command."""
        command = next((name for name in COMMANDS if " ".join(words).startswith(name + " ")), None)
        if command is None:
            return 2, "", f"Invalid choice: {' '.join(words)}"
        flags, rest = parsed(words[len(command.split()) :])
        if unknown := flags.keys() - set(COMMANDS[command].split()):
            return 2, "", f"unrecognized arguments: {' '.join(unknown)}"
        try:
            return 0, self._carry_out(command, flags, *rest), ""
        except Refused as refused:
            return 1, "", f"ERROR: (gcloud.{command.replace(' ', '.')}) {refused}"
        except TimeoutError:
            return 1, "", "ERROR: Operation 1 has not finished in 1800 seconds. The operations may still be underway"

    def _carry_out(self, command, flags, subject=None):
        wanted = flags.get("--filter", "")
        match command:
            case "artifacts repositories list":
                return lines(name for name in self.repositories if wanted == f"name~/repositories/{name}$")
            case "artifacts repositories create":
                self.make_repository(subject)
            case "artifacts docker tags list":
                return lines(digest for tag, digest in self.tags.items() if wanted == f"tag~/{tag.removeprefix(subject + ':')}$")
            case "ai models list":
                return lines(f"{PLACE}/models/{name}" for name in self.models if wanted == f"name~/models/{name}$")
            case "ai models list-version":
                versions = self.models[subject]
                return lines(one["versionId"] for one in versions if wanted.split(":")[1] in one["versionAliases"])
            case "ai models upload":
                self.upload(model(flags), flags.get("--parent-model"), flags.get("--model-id"))
            case "ai endpoints list":
                ends = self.endpoints.items()
                return lines(number for number, end in ends if wanted == f"displayName={end['displayName']}")
            case "ai endpoints create":
                self.make_endpoint(flags["--display-name"])
            case "ai endpoints describe":
                end = self.endpoints[subject]
                split = ";".join(f"{key}={value}" for key, value in end.get("trafficSplit", {}).items())
                return ";".join(one["id"] for one in end["deployedModels"]) + " traffic:" + split
            case "ai endpoints deploy-model":
                self._deploy(subject, flags)
            case "ai endpoints undeploy-model":
                self.undeploy(subject, flags["--deployed-model-id"])
        return ""

    def _deploy(self, endpoint, flags):
        split = {key: int(value) for key, value in pairs(flags["--traffic-split"]).items()}
        self.deploy(endpoint, deployed(flags), split)
        if self.outlasts:
            raise TimeoutError

    def _handler(cloud):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                place = urlsplit(self.path)
                if place.path in ("/gcloud", "/docker"):
                    return self.send(200, cloud.run(place.path[1:], body.split("\0")[:-1]))
                try:
                    answer = cloud.answer(self.command, place.path, parse_qs(place.query), json.loads(body or "null"))
                except Refused as refused:
                    return self.say(400, {"error": {"code": 400, "message": str(refused), "status": "FAILED_PRECONDITION"}})
                if answer is None:
                    return self.say(404, {"error": {"code": 404, "message": f"no {self.path}", "status": "NOT_FOUND"}})
                return self.say(200, answer)

            do_POST = do_GET

            def say(self, status, body):
                self.send(status, json.dumps(body))

            def send(self, status, text):
                data = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        return Handler


HANDS_OVER = """#!/bin/sh
eval "$(printf '%s\\0' "$@" | {curl} -s --data-binary @- {url}{name})"
"""


def hand_over(cloud, folder, name):
    """A program of that name in a folder, which hands its arguments over."""
    program = folder / name
    program.write_text(HANDS_OVER.format(curl=shutil.which("curl"), url=cloud.url, name=name))
    program.chmod(0o755)


def done(response):
    """A long-running operation that has ended."""
    return {"name": f"{PLACE}/operations/1", "done": True, "response": response}


def lines(found):
    return "\n".join(found)


def parsed(words):
    """Flags with their values, and the other words."""
    flags, rest, words = {}, [], iter(words)
    for word in words:
        if word == "--quiet":
            flags[word] = True
        elif word.startswith("--"):
            flags[word] = next(words)
        else:
            rest.append(word)
    return flags, rest


def listed(text):
    """A flag with several values, as `gcloud topic escaping` has it."""
    if found := re.fullmatch(r"\^(.)\^(.*)", text, re.DOTALL):
        return found[2].split(found[1])
    return text.split(",")


def pairs(text):
    return dict(pair.split("=", 1) for pair in listed(text))


def model(flags):
    """The API's `model` of an upload."""
    made = {
        "displayName": flags["--display-name"],
        "versionAliases": listed(flags["--version-aliases"]),
        "containerSpec": {
            "imageUri": flags["--container-image-uri"],
            "ports": [{"containerPort": int(port)} for port in listed(flags["--container-ports"])],
            "env": [{"name": key, "value": value} for key, value in pairs(flags["--container-env-vars"]).items()],
            "healthRoute": flags["--container-health-route"],
            "predictRoute": flags["--container-predict-route"],
            "deploymentTimeout": flags["--container-deployment-timeout-seconds"] + "s",
            "startupProbe": probe(flags, "startup"),
            "healthProbe": probe(flags, "health"),
        },
    }
    return made | ({"artifactUri": flags["--artifact-uri"]} if "--artifact-uri" in flags else {})


def probe(flags, kind):
    return {
        "exec": {"command": listed(flags[f"--container-{kind}-probe-exec"])},
        "periodSeconds": int(flags[f"--container-{kind}-probe-period-seconds"]),
        "timeoutSeconds": int(flags[f"--container-{kind}-probe-timeout-seconds"]),
    }


METRICS = {
    "cpu-usage": "aiplatform.googleapis.com/prediction/online/cpu/utilization",
    "gpu-duty-cycle": "aiplatform.googleapis.com/prediction/online/accelerator/duty_cycle",
}


def deployed(flags):
    """The API's `deployedModel`."""
    machine = {"machineType": flags["--machine-type"]}
    if "--accelerator" in flags:
        accelerator = pairs(flags["--accelerator"])
        machine["acceleratorType"] = accelerator["type"].upper().replace("-", "_")
        machine["acceleratorCount"] = int(accelerator["count"])
    made = {
        "id": flags["--deployed-model-id"],
        "displayName": flags["--display-name"],
        "enableAccessLogging": False,
        "disableContainerLogging": False,
        "model": f"{PLACE}/models/{flags['--model']}",
        "dedicatedResources": {
            "machineSpec": machine,
            "minReplicaCount": int(flags["--min-replica-count"]),
            "maxReplicaCount": int(flags["--max-replica-count"]),
            "spot": False,
            "autoscalingMetricSpecs": [
                {"metricName": METRICS[name], "target": int(target)}
                for name, target in sorted(pairs(flags["--autoscaling-metric-specs"]).items())
            ],
        },
    }
    return made | ({"serviceAccount": flags["--service-account"]} if "--service-account" in flags else {})
