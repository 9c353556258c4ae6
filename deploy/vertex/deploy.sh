# Builds the image, uploads it as a model and deploys that to a Vertex AI endpoint. Sourced by deploy_on_demand.sh and
# deploy_with_entrypoint.sh, which say what differs between the two modes.
#
# It can be run again at any time. What it makes carries a digest of all that it was made from: the version of the model
# as an alias, the deployed model as its id. What is there already is used, what was broken off is taken up.
# shellcheck shell=bash
set -euo pipefail
: "${root:?the folder of the repository}"

# Exit codes, in the order of the steps.
readonly USAGE=2 TOOLS=3 IMAGE=4 MODEL=5 ENDPOINT=6

# The defaults of both modes; each script sets its own over them.
region=us-central1 name=sconce model=openai/whisper-base artifacts='' image='' repository=sconce bake='' \
machine_type='' accelerator='' min_replicas=1 max_replicas=1 target=60 service_account='' dry_run='' undeploy=''
project=${GOOGLE_CLOUD_PROJECT:-}
settings=() secrets=()

usage() {
    cat <<TXT
usage: ${0##*/} --project PROJECT [options]

$ABOUT

  --project PROJECT            Google Cloud project (or GOOGLE_CLOUD_PROJECT)
  --region REGION              [$region]
  --name NAME                  of the model and of the endpoint [$name]
  --model-id MODEL             what the server loads: organisation/name of the hub [$model]
  --artifacts gs://BUCKET/DIR  files of the model instead; the container gets them as AIP_STORAGE_URI
  --image IMAGE                one that is in the Artifact Registry already; nothing is built
  --repository NAME            of the Artifact Registry, made if it is missing [$repository]
  --bake                       put the files of the model into the image
  --machine-type TYPE          [n1-standard-4, or what fits the accelerator]
  --accelerator TYPE[:COUNT]   for example nvidia-l4:1; then the CUDA image is built
  --min-replicas N             [$min_replicas]
  --max-replicas N             [$max_replicas]
  --target-utilization N       percent of CPU or GPU above which replicas are added [$target]
  --service-account EMAIL      that the container runs as
  --env NAME=VALUE             one more setting of the server; can be given several times
  --undeploy                   only take everything off the endpoint, so that it costs nothing
  --dry-run                    print every command and what would come of it, run none
  --help

Exit codes: 0 done, $USAGE wrong usage, $TOOLS a tool is missing, $IMAGE no image, $MODEL no model, $ENDPOINT no endpoint or not deployed.
TXT
}

# What is being done; in a dry run nothing is.
say() { [ -n "$dry_run" ] || printf '==> %s\n' "$*" >&2; }

# die TEXT CODE
die() {
    printf 'error: %s\n' "$1" >&2
    exit "$2"
}

# === what is asked ===

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
        --bake) bake=yes ;;
        --dry-run) dry_run=yes ;;
        --undeploy) undeploy=yes ;;
        --help | -h) usage; exit 0 ;;
        *)
            option "$@"
            shift
            ;;
        esac
        shift
    done
}

# option NAME VALUE
option() {
    case $1 in --*) [ $# -ge 2 ] || die "$1 needs a value; ${0##*/} --help lists the options" "$USAGE" ;; esac
    case $1 in
    --project) project=$2 ;;
    --region) region=$2 ;;
    --name) name=$2 ;;
    --model-id) model=$2 ;;
    --artifacts) artifacts=$2 ;;
    --image) image=$2 ;;
    --repository) repository=$2 ;;
    --machine-type) machine_type=$2 ;;
    --accelerator) accelerator=$2 ;;
    --min-replicas) min_replicas=$2 ;;
    --max-replicas) max_replicas=$2 ;;
    --target-utilization) target=$2 ;;
    --service-account) service_account=$2 ;;
    --env) setting "$2" ;;
    --model) die "--model is no option; --model-id says which model the server loads" "$USAGE" ;;
    *) die "$1 is no option; ${0##*/} --help lists them" "$USAGE" ;;
    esac
}

setting() {
    [[ $1 =~ ^[A-Z][A-Z0-9_]*=.*$ ]] || die "--env ${1%%=*}: NAME=VALUE would be right" "$USAGE"
    [[ $1 != AIP_* ]] || die "--env ${1%%=*}: Vertex AI sets the AIP_ variables itself" "$USAGE"
    [[ $1 != LOAD_MODE=* ]] || die "--env LOAD_MODE: the other script is for the other mode" "$USAGE"
    settings+=("$1")
    case ${1%%=*} in *TOKEN | *SECRET* | *PASSWORD | *KEYS | *ACCESS_KEY*) [ -z "${1#*=}" ] || secrets+=("${1#*=}") ;; esac
}

check() {
    [ -n "$project" ] || die "no project: give --project, or set GOOGLE_CLOUD_PROJECT" "$USAGE"
    [[ $name =~ ^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$ ]] ||
        die "--name $name: lower-case letters, digits and dashes, beginning with a letter, would be right" "$USAGE"
    [[ -z $artifacts || $artifacts == gs://?* ]] || die "--artifacts $artifacts: gs://BUCKET/DIR would be right" "$USAGE"
    [[ -z $accelerator || $accelerator =~ ^[a-z0-9-]+(:[1-9][0-9]*)?$ ]] ||
        die "--accelerator $accelerator: TYPE or TYPE:COUNT would be right, such as nvidia-l4:1" "$USAGE"
    [[ -z $image || -z $bake ]] || die "--bake: an image that is there already is not built; leave out --bake or --image" "$USAGE"
    [[ -z $artifacts || -z $bake ]] || die "--bake: models of --artifacts are not baked in; leave out one of the two" "$USAGE"
    whole --min-replicas "$min_replicas" 1 1000
    whole --max-replicas "$max_replicas" "$min_replicas" 1000
    whole --target-utilization "$target" 1 100
    machine
    join_environment
    tools
}

# whole OPTION VALUE LEAST MOST
whole() {
    [[ $2 =~ ^[1-9][0-9]{0,3}$ && $2 -ge $3 && $2 -le $4 ]] || die "$1 $2: a whole number from $3 to $4 would be right" "$USAGE"
}

count() { case $accelerator in *:*) echo "${accelerator##*:}" ;; *) echo 1 ;; esac; }

# A machine that takes the accelerator; Vertex AI refuses most of the other pairs.
machine() {
    [ -z "$machine_type" ] || return 0
    local count
    count=$(count)
    case ${accelerator%%:*}:$count in
    :*) machine_type=n1-standard-4 ;;
    nvidia-l4:1) machine_type=g2-standard-8 ;;
    nvidia-l4:2) machine_type=g2-standard-24 ;;
    nvidia-tesla-a100:[1248]) machine_type=a2-highgpu-${count}g ;;
    nvidia-a100-80gb:[1248]) machine_type=a2-ultragpu-${count}g ;;
    nvidia-h100-80gb:[1248]) machine_type=a3-highgpu-${count}g ;;
    nvidia-tesla-a100:*) ;;
    nvidia-tesla-*) machine_type=n1-standard-8 ;;
    esac
    [ -n "$machine_type" ] || die "--accelerator $accelerator: which machine has it is not known here; give --machine-type too" "$USAGE"
}

tools() {
    [ -z "$dry_run" ] || return 0
    command -v gcloud >/dev/null || die "gcloud is not installed; see https://cloud.google.com/sdk/docs/install" "$TOOLS"
    [[ -n $image || -n $undeploy ]] || command -v docker >/dev/null ||
        die "docker is not installed; install it, or name an image that is there already with --image" "$TOOLS"
}

# === how commands are run ===

# show SIGN COMMAND…: as it could be typed, without secrets. What only looks has the sign `?`, what changes has `+`.
show() {
    local word secret line=$1
    for word in "${@:2}"; do
        for secret in ${secrets[@]+"${secrets[@]}"}; do word=${word//"$secret"/***}; done
        line+=" $(quoted "$word")"
    done
    if [ -n "$dry_run" ]; then echo "$line"; else echo "$line" >&2; fi
}

# quoted WORD: as a shell reads it, in quotes only where it would not read it whole.
quoted() {
    local quote="'\\''"
    case $1 in
    '' | *[!A-Za-z0-9_@%+=:,./-]*) printf "'%s'" "${1//\'/$quote}" ;;
    *) printf '%s' "$1" ;;
    esac
}

# step CODE WHAT REMEDY COMMAND…: changes something; where it fails, the script ends with what to do.
step() {
    local code=$1 what=$2 remedy=$3
    shift 3
    show + "$@"
    [ -n "$dry_run" ] || "$@" || die "$what failed: $remedy. Then run this again; it goes on from there" "$code"
}

# look CODE WHAT RESULT COMMAND…: sets `found` to what the command prints; to RESULT where nothing is run.
look() {
    local code=$1 what=$2 result=$3
    shift 3
    show '?' "$@"
    if [ -n "$dry_run" ]; then
        found=$result
    else
        found=$("$@") || die "$what failed: are you signed in (gcloud auth login), is the project's name right, and are its APIs enabled (gcloud services enable aiplatform.googleapis.com artifactregistry.googleapis.com --project $project)?" "$code"
    fi
}

# digest WORD…: eight hexadecimal digits that stand for the words.
digest() {
    local sum=sha256sum
    command -v sha256sum >/dev/null || sum='shasum -a 256' # macOS
    printf '%s\0' "$@" | $sum | cut -c1-8
}

# === the steps ===

# Builds and pushes the image unless one was named, and pins it: a tag may come to mean another image.
provide_image() {
    local tag
    [ -n "$image" ] || build
    case $image in *@sha256:*) return 0 ;; esac
    case ${image##*/} in *:*) tag=${image##*:} image=${image%:*} ;; *) tag=latest ;; esac
    look "$IMAGE" "looking for the image $image:$tag" sha256:DIGEST \
        gcloud artifacts docker tags list "$image" --filter "tag~/$tag\$" --format 'value(version.basename())' --limit 1
    [[ $found == sha256:* ]] || die "there is no image $image:$tag: push it, or leave out --image to have it built" "$IMAGE"
    image=$image@$found
}

build() {
    local registry=$region-docker.pkg.dev revision arguments=()
    revision=$(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown)
    image=$registry/$project/$repository/$name:$revision${accelerator:+-cuda}
    arguments=(--platform linux/amd64 --build-arg "REVISION=$revision")
    [ -z "$accelerator" ] || arguments+=(--build-arg ACCELERATOR=cuda)
    [[ $accelerator != nvidia-tesla-t4* ]] || arguments+=(--build-arg CUDA_COMPUTE_CAP=75)
    [ -z "$bake" ] || arguments+=(--build-arg "MODELS=$model")
    [[ -z $bake || -z ${HF_TOKEN:-} ]] || arguments+=(--secret "id=hf-token,env=HF_TOKEN")
    provide_repository
    step "$IMAGE" "setting docker up for $registry" "see what gcloud says above" gcloud auth configure-docker "$registry" --quiet
    step "$IMAGE" "building the image" "see what docker says above" docker build --tag "$image" "${arguments[@]}" "$root"
    step "$IMAGE" "pushing the image" "your account needs the role roles/artifactregistry.writer" docker push "$image"
}

provide_repository() {
    local place=(--project "$project" --location "$region")
    look "$IMAGE" "listing repositories" '' \
        gcloud artifacts repositories list "${place[@]}" --filter "name~/repositories/$repository\$" --format 'value(name)'
    [ -n "$found" ] || step "$IMAGE" "making the repository $repository" "your account needs the role roles/artifactregistry.admin" \
        gcloud artifacts repositories create "$repository" "${place[@]}" --repository-format docker --description "Images of Sconce"
}

# Uploads the image with its settings as a version of the model, unless there is such a version; sets `version`.
provide_model() {
    local flags alias parent
    flags=(--display-name "$name" --container-image-uri "$image" --container-ports 8080
        --container-health-route /health --container-predict-route /predict
        --container-env-vars "$environment" --container-deployment-timeout-seconds "$deployment_timeout"
        --container-startup-probe-exec "/usr/local/bin/sconce,healthcheck,--route,/health/live"
        --container-startup-probe-period-seconds "$startup_period" --container-startup-probe-timeout-seconds 5
        --container-health-probe-exec "/usr/local/bin/sconce,healthcheck"
        --container-health-probe-period-seconds 10 --container-health-probe-timeout-seconds 5)
    [ -z "$artifacts" ] || flags+=(--artifact-uri "$artifacts")
    alias=of-$(digest "${flags[@]}")
    look "$MODEL" "listing models" '' \
        gcloud ai models list "${place[@]}" --filter "name~/models/$name\$" --format 'value(name)'
    parent=$found
    find_version "$alias"
    if [ -z "$version" ]; then
        if [ -n "$parent" ]; then flags+=(--parent-model "$parent"); else flags+=(--model-id "$name"); fi
        say "uploading the model $name"
        step "$MODEL" "uploading the model $name" "your account needs the role roles/aiplatform.user, and the image must be readable for Vertex AI" \
            gcloud ai models upload "${place[@]}" "${flags[@]}" --version-aliases "default,$alias"
        parent=$name
        find_version "$alias"
    fi
    version=${version:-VERSION} # where nothing is run
}

# find_version ALIAS: sets `version` to the one of that alias, if there is a model and it has one.
find_version() {
    version=''
    [ -n "$parent" ] || return 0
    look "$MODEL" "listing the versions of $name" '' gcloud ai models list-version "$name" "${place[@]}" \
        --filter "versionAliases:$1" --format 'value(versionId)' --limit 1
    version=$found
}

# Sets `environment` to NAME=VALUE pairs in one flag, with a separator that is in none of them, as `gcloud topic escaping`
# has it.
join_environment() {
    local all separator
    all=("LOAD_MODE=$load_mode")
    [ -n "$artifacts" ] || all+=("MODEL_ID=$model")
    all+=(${settings[@]+"${settings[@]}"})
    for separator in '|' ';' '@' '#' '%' '~'; do
        [[ ${all[*]} != *"$separator"* ]] || continue
        local IFS=$separator
        environment="^$separator^${all[*]}"
        return
    done
    die "the values of --env hold every one of | ; @ # % ~, so that none is left to part them" "$USAGE"
}

# Sets `endpoint` to the id of the endpoint of that name, or to nothing.
find_endpoint() {
    look "$ENDPOINT" "listing endpoints" '' \
        gcloud ai endpoints list "${place[@]}" --filter "displayName=$name" --format 'value(name.basename())'
    endpoint=$found
    [[ $endpoint != *[[:space:]]* ]] ||
        die "several endpoints are called $name (${endpoint//$'\n'/ }): delete all but one, or choose another --name" "$ENDPOINT"
}

provide_endpoint() {
    find_endpoint
    [ -z "$endpoint" ] || return 0
    step "$ENDPOINT" "making the endpoint $name" "your account needs the role roles/aiplatform.user" \
        gcloud ai endpoints create "${place[@]}" --display-name "$name"
    find_endpoint
    endpoint=${endpoint:-ENDPOINT} # where nothing is run
}

# find_deployed RESULT: sets `deployed` to the ids of what is deployed there, what has traffic last, because it can only be
# taken away when it is alone; to RESULT where nothing is run.
find_deployed() {
    local id idle='' serving=''
    look "$ENDPOINT" "looking at the endpoint $name" "$1" \
        gcloud ai endpoints describe "$endpoint" "${place[@]}" --format 'value[separator=" traffic:"](deployedModels.id,trafficSplit)'
    deployed=${found%% traffic:*}
    for id in ${deployed//;/ }; do
        if [[ ${found#* traffic:} =~ (^|;)$id=[1-9] ]]; then serving+=" $id"; else idle+=" $id"; fi
    done
    deployed=$idle$serving
}

# Deploys the version with all traffic, unless it is deployed, and takes whatever else is there away: until then both
# are paid for, and no request is lost.
deploy() {
    local flags id
    flags=(--model "$name@$version" --display-name "$name" --machine-type "$machine_type"
        --min-replica-count "$min_replicas" --max-replica-count "$max_replicas"
        --autoscaling-metric-specs "${accelerator:+gpu-duty-cycle=$target,}cpu-usage=$target")
    [ -z "$accelerator" ] || flags+=(--accelerator "type=${accelerator%%:*},count=$(count)")
    [ -z "$service_account" ] || flags+=(--service-account "$service_account")
    id=$((16#$(digest "${flags[@]}")))
    find_deployed ''
    if [[ " $deployed " != *" $id "* ]]; then
        say "deploying to the endpoint $endpoint; this takes minutes"
        deploy_model "$id" "${flags[@]}" --traffic-split 0=100
    fi
    take_away_all_but "$id"
}

# gcloud waits for half an hour at most, Vertex AI goes on deploying: then the endpoint is watched instead.
deploy_model() {
    local id=$1 notes failed='' end=$((SECONDS + deployment_timeout))
    shift
    set -- gcloud ai endpoints deploy-model "$endpoint" "${place[@]}" --deployed-model-id "$id" "$@"
    show + "$@"
    [ -z "$dry_run" ] || return 0
    notes=$(mktemp)
    { "$@" 2>&1 >&3 | tee "$notes" >&2; } 3>&1 || failed=yes
    [[ -z $failed ]] || grep -q 'has not finished' "$notes" || failed=at_once
    rm -f "$notes"
    case $failed in
    yes) watch "$id" "$end" ;;
    at_once) die "deploying failed: a quota (machines of both the old and the new are needed), or a container that does not become healthy within $deployment_timeout s; its logs are in the Cloud Logging of the endpoint $endpoint. Then run this again; it goes on from there" "$ENDPOINT" ;;
    esac
}

# watch ID END: until it is deployed, or until that second.
watch() {
    until [[ " $deployed " == *" $1 "* ]]; do
        [ "$SECONDS" -lt "$2" ] || die "not deployed after $deployment_timeout s: see the logs of the endpoint $endpoint" "$ENDPOINT"
        sleep 30
        find_deployed ''
    done
}

# take_away_all_but ID: of what find_deployed found.
take_away_all_but() {
    local old
    for old in $deployed; do
        [ "$old" = "$1" ] || step "$ENDPOINT" "taking the deployed model $old away" "it has no traffic, but is paid for" \
            gcloud ai endpoints undeploy-model "$endpoint" "${place[@]}" --deployed-model-id "$old"
    done
}

undeploy() {
    find_endpoint
    [ -z "$dry_run" ] || endpoint=ENDPOINT
    [ -n "$endpoint" ] || { say "there is no endpoint $name"; return; }
    find_deployed DEPLOYED
    take_away_all_but ''
    say "nothing is deployed to $name any more; the endpoint, the model and the image are still there"
}

# === what a dry run says beside the commands ===

legend() {
    cat <<'TXT'
# ? only looks; + changes something, and is left out where what it would make is there already.
# Words in capitals stand for what a step before finds.
TXT
}

# again OPTION…: this script again, for what was asked.
again() {
    local words=("$0" --project "$project") word line=''
    [ "$region" = us-central1 ] || words+=(--region "$region")
    [ "$name" = sconce ] || words+=(--name "$name")
    for word in "${words[@]}" "$@"; do line+=" $(quoted "$word")"; done
    echo "${line# }"
}

call() {
    echo "gcloud ai endpoints raw-predict $endpoint --project $project --region $region --http-headers Content-Type=audio/wav --request @recording.wav"
}

summary() {
    local replicas=$min_replicas what=$model
    [ "$max_replicas" = "$min_replicas" ] || replicas="$min_replicas to $max_replicas, more above $target % of ${accelerator:+GPU or }CPU"
    [ -z "$artifacts" ] || what=$artifacts
    cat <<TXT
#
# This would serve $what (LOAD_MODE=$load_mode) at the endpoint $name in $region:
#   machine:  $machine_type${accelerator:+ with $(count) x ${accelerator%%:*}}
#   replicas: $replicas; each is paid for as long as it is deployed
#   time:     ${image_time}$EXPECTED; given up after $((deployment_timeout / 60)) min
#   call:     $(call)
#   undo:     $(again --undeploy)
TXT
}

undeploy_summary() {
    cat <<TXT
#
# This would take everything off the endpoint $name in $region: nothing serves there, and nothing is paid for, any more.
# The endpoint, the model and the image stay. Without --undeploy the same command deploys again.
TXT
}

main() {
    local place environment endpoint deployed version found image_time='minutes to build and push the image; to deploy '
    parse "$@"
    check
    [ -z "$image" ] || image_time=''
    place=(--project "$project" --region "$region")
    [ -z "$dry_run" ] || legend
    if [ -n "$undeploy" ]; then
        undeploy
        [ -z "$dry_run" ] || undeploy_summary
        return
    fi
    provide_image
    provide_model
    provide_endpoint
    deploy
    if [ -n "$dry_run" ]; then summary; else say "done. Try it: $(call)"; fi
}
