#!/usr/bin/env bash
# Has a running server bring models in before anybody asks for them, and follows the progress until they are ready.
set -euo pipefail

url=http://localhost:8080 key=${SCONCE_KEY:-} load=true timeout=3600 models=()
# Seconds between two words on the progress.
pause=5

# Exit codes.
readonly FAILED=1 USAGE=2 LATE=3 REFUSED=4

usage() {
    cat <<TXT
usage: ${0##*/} [--url URL] [--key KEY] [--fetch-only] [--timeout SECONDS] [MODEL...]

Without a model: those that load at start, or else the default one.

  --url URL           the server [$url]
  --key KEY           a key with the scope admin (or SCONCE_KEY, which others on this machine do not see)
  --fetch-only        onto the disk, not into memory
  --timeout SECONDS   [$timeout]

Exit codes: 0 all are there, $FAILED one failed, $USAGE wrong usage, $LATE not there in time (they are still on their way),
$REFUSED the server does not answer, or refuses.
TXT
}

# die TEXT CODE
die() {
    printf 'error: %s\n' "$1" >&2
    exit "$2"
}

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
        --help | -h) usage; exit 0 ;;
        --fetch-only) load=false ;;
        --url | --key | --timeout)
            [ $# -ge 2 ] || die "$1 needs a value; --help lists the options" "$USAGE"
            option "$1" "$2"
            shift
            ;;
        -*) die "$1 is no option; --help lists them" "$USAGE" ;;
        *) models+=("$1") ;;
        esac
        shift
    done
    local tool
    for tool in curl jq; do command -v "$tool" >/dev/null || die "$tool is not installed" "$USAGE"; done
}

# option NAME VALUE
option() {
    case $1 in
    --url) [[ $2 =~ ^https?://. ]] || die "--url $2: http://HOST:PORT would be right" "$USAGE"; url=${2%/} ;;
    --key) key=$2 ;;
    --timeout) [[ $2 =~ ^[0-9]{1,8}$ ]] || die "--timeout $2: a number of seconds would be right" "$USAGE"; timeout=$((10#$2)) ;;
    esac
}

# wanted SECONDS: the body that asks for the models and waits for so long.
wanted() {
    jq -nc --argjson load "$load" --argjson wait "$1" \
        '{load: $load, wait: $wait} + if $ARGS.positional == [] then {} else {models: $ARGS.positional} end' \
        --args -- ${models[@]+"${models[@]}"}
}

# ask SECONDS: the answer, and its status in a line of its own. The key does not appear among the processes.
ask() {
    wanted "$1" | curl -sS --max-time $(($1 + 60)) -X POST "$url/download-models" -H 'Content-Type: application/json' \
        --data-binary @- -w '\n%{http_code}' ${key:+-K <(printf 'header = "Authorization: Bearer %s"\n' "$key")}
}

# A line for each model: its state, and how far a download is.
show() {
    jq -r '.models | to_entries[] | "\(.key): \(.value.status)" + (.value.progress // {} |
        if .bytes_total then " \(100 * .bytes_done / ([.bytes_total, 1] | max) | floor) % of \(.bytes_total / 1e6 | ceil) MB" else "" end)'
}

reason() { jq -er '.message // .error.message // .error' 2>/dev/null <<<"$1" || echo "$1"; }

parse "$@"
while :; do
    left=$((timeout - SECONDS))
    answer=$(ask $((left < pause ? (left > 0 ? left : 0) : pause))) || die "no answer from $url" "$REFUSED"
    status=${answer##*$'\n'} answer=${answer%$'\n'*}
    case $status in
    200) reason "$answer"; exit 0 ;;
    202) show <<<"$answer" >&2 ;;
    503) die "$(reason "$answer")" "$FAILED" ;;
    *) die "$(reason "$answer") (HTTP $status)" "$REFUSED" ;;
    esac
    [ "$SECONDS" -lt "$timeout" ] || die "not there after $timeout s, but still on the way" "$LATE"
done
