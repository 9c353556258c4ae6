#!/bin/sh
# Sees that models can be written somewhere and becomes the server, which gets the signals as pid 1. What is set from
# outside, LOAD_MODE and all the rest, is the server's to read: docs/CONFIGURATION.md. What it makes of it is asked.
set -eu

say() { printf 'entrypoint: %s\n' "$*" >&2; }

# Tried, not looked up: a full disk, a read-only mount and a share with rules of its own each say no in their own way.
writable() {
    mkdir -p "$1" 2>/dev/null && probe=$(mktemp "$1/.probe.XXXXXX" 2>/dev/null) && rm -f "$probe" && return
    say "$1 cannot be written: is a volume mounted there, and may user $(id -u) write it?"
    return 1
}

# Nobody names a folder: RunPod's volume where there is one, the image's own, the last resort.
choose() {
    for folder in ${RUNPOD_POD_ID:+/runpod-volume} "$XDG_CACHE_HOME" /tmp/sconce; do
        if writable "$folder"; then
            [ "$folder" = "$XDG_CACHE_HOME" ] || say "models are kept in $folder"
            export XDG_CACHE_HOME="$folder"
            return
        fi
    done
    say "nothing can be fetched; what is in the image or on a read-only volume is served"
}

# The folder, and what names it. Nothing, if the configuration is wrong: the server says how.
cache=$(/usr/local/bin/sconce check-config 2>/dev/null | sed -n 's/^store\.cache_dir *//p')
case $cache in
'') ;;
*' XDG_CACHE_HOME') choose ;;
*) writable "${cache%% *}" || say "nothing can be fetched into it" ;;
esac

exec /usr/local/bin/sconce "$@"
