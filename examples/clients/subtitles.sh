#!/usr/bin/env bash
# Subtitles beside each recording: subtitles.sh talk.mp3 lecture.flac makes talk.mp3.srt and lecture.flac.srt.
set -euo pipefail

if [ $# -eq 0 ] || [ "$1" = --help ]; then
    cat <<TXT
usage: ${0##*/} RECORDING...

FORMAT (srt or vtt) and MODEL say what is asked for; the server is the one in SCONCE_URL, the key the one in SCONCE_KEY.
TXT
    [ $# -gt 0 ] || exit 2
    exit 0
fi

url=${SCONCE_URL:-http://localhost:8080} format=${FORMAT:-srt} model=${MODEL:-whisper-1}
failed=0
for recording; do
    # As curl's forms want a name in quotes.
    name=${recording//\\/\\\\} name=${name//\"/\\\"}
    # To a file of its own first, so that a failure leaves no half of one.
    if curl --silent --show-error --fail-with-body --retry 5 --output "$recording.part" \
        --header "Authorization: Bearer ${SCONCE_KEY:-none}" \
        --form "file=@\"$name\"" --form "model=$model" --form "response_format=$format" \
        "$url/v1/audio/transcriptions"; then
        mv "$recording.part" "$recording.$format"
        echo "$recording.$format"
    else
        echo "error: $recording: $(cat "$recording.part" 2>/dev/null)" >&2
        rm -f "$recording.part"
        failed=1
    fi
done
exit $failed
