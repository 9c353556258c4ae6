#!/usr/bin/env bash
# Deploys to Vertex AI in the mode `on_demand`: a replica counts as healthy within seconds, and the first request brings
# the model in. Right where replicas come and go, and the first caller of each can wait or try again.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=vertex/deploy.sh
. "$root/deploy/vertex/deploy.sh"

# shellcheck disable=SC2034 # read by what is sourced above
{
    ABOUT='Deploys with LOAD_MODE=on_demand: healthy at once, the first request downloads and loads the model.'
    EXPECTED='minutes for a machine and the image, then seconds until it is healthy; the first request waits for the model'
    load_mode=on_demand
    # Nothing is loaded before a replica counts as healthy: pulling the image takes longest. The startup probe gives up
    # after three failures, and the port is open long before.
    startup_period=5
    deployment_timeout=1800
    # A replica more is there soon, so that it can be added late.
    target=70
}

main "$@"
