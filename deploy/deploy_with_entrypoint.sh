#!/usr/bin/env bash
# Deploys to Vertex AI in the mode `startup`: a replica counts as healthy when its model is loaded, so that no request
# ever waits for one. A deployment takes as long as the download, or as the load if the files are baked in (`--bake`).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=vertex/deploy.sh
. "$root/deploy/vertex/deploy.sh"

# shellcheck disable=SC2034 # read by what is sourced above
{
    ABOUT='Deploys with LOAD_MODE=startup: healthy only when the model is ready; no request waits for a download.'
    EXPECTED='minutes for a machine and the image, then as long as the model takes to download and to load'
    load_mode=startup
    # The process is up at once, and that is all the startup probe asks: a replica that fails it three times is started
    # anew. Whether the model is ready is what the health probe asks, for as long as a deployment may take: two hours.
    startup_period=10
    deployment_timeout=7200
    # A replica more takes a download: it has to be asked for before it is needed.
    target=50
}

main "$@"
