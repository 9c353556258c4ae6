#!/bin/sh
# From nothing to the voice in assets/: virtual environment, corpus, both trainings, export, fixtures, figures.
# Every step goes on where an interrupted one stopped. WORK holds what is not kept (about 7 GB, most of it torch).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
work=${WORK:-$root/target/training/lark}
model=$root/assets/models/lark.en
wordnet=${WORDNET:-/usr/share/wordnet}
python=$work/venv/bin/python

[ -f "$wordnet/data.noun" ] || { echo "run.sh needs Debian's wordnet-base, or WORDNET" >&2; exit 1; }
command -v g++ >/dev/null || { echo "run.sh needs g++, for torch.compile" >&2; exit 1; }

mkdir -p "$work"
[ -x "$python" ] || python3 -m venv "$work/venv"
"$python" -m pip install --quiet --requirement "$here/requirements.txt"

export PYTHONDONTWRITEBYTECODE=1 OMP_WAIT_POLICY=PASSIVE TORCHINDUCTOR_CACHE_DIR="$work/inductor"
cd "$here"
OMP_NUM_THREADS=1 "$python" corpus.py "$work" --wordnet "$wordnet" --shards "${SHARDS:-10}"
"$python" train.py "$work" --steps "${STEPS:-5000}"
"$python" letters.py "$work" --steps "${LETTER_STEPS:-800}"
"$python" export.py "$work" "$model"
"$python" fixtures.py "$model" "$root/tests/fixtures/lark"
"$python" evaluate.py "$work" "$model" --wordnet "$wordnet"
"$python" evaluate.py "$work" --teacher --wordnet "$wordnet"
"$python" spectrograms.py "$work" "$model" "$model/pictures" --wordnet "$wordnet"
