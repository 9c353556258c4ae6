#!/bin/sh
# From nothing to the model in assets/: virtual environment, corpus, training, export, recordings, fixtures.
# Every step goes on where an interrupted one stopped. WORK holds what is not kept (about 10 GB).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
work=${WORK:-$root/target/training}
steps=${STEPS:-4000}
model=$root/assets/models/whisper-nano.en
python=$work/venv/bin/python

for tool in python3 espeak-ng ffmpeg; do
    command -v "$tool" >/dev/null || { echo "run.sh needs $tool" >&2; exit 1; }
done

mkdir -p "$work"
[ -x "$python" ] || python3 -m venv "$work/venv"
"$python" -m pip install --quiet --requirement "$here/requirements.txt"

export PYTHONDONTWRITEBYTECODE=1
"$python" "$here/synthesise.py" "$work/corpus" --count 60000
"$python" "$here/train.py" "$work" --steps "$steps"
"$python" "$here/export.py" "$work" "$model"
"$python" "$here/alignment.py" "$model"
"$python" "$here/recordings.py" "$root/assets/recordings"
"$python" "$here/fixtures.py" "$model" "$root/tests/fixtures/nano"
"$python" "$here/evaluate.py" --self "$model"
