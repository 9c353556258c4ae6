#!/bin/sh
# Word error rates and segment times as the server itself gives them: build it, start it, ask it, stop it.
# Needs python3 with training/requirements.txt without torch and transformers (PYTHON names it), and espeak-ng.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
python=${PYTHON:-python3}
export PORT="${PORT:-18080}" PYTHONDONTWRITEBYTECODE=1
base=http://127.0.0.1:$PORT

cd "$root"
cargo build --release
cargo run --release --quiet -- serve &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null || true' EXIT INT TERM

tries=0
until curl --silent --fail --output /dev/null "$base/health/ready"; do
    kill -0 "$server" 2>/dev/null || { echo "the server ended before it was ready" >&2; exit 1; }
    tries=$((tries + 1))
    [ "$tries" -lt 120 ] || { echo "the server was not ready after 60 s" >&2; exit 1; }
    sleep 0.5
done

"$python" "$here/evaluate.py" --server "$base" "$@"
