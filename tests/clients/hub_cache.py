"""The hub's own client: fills a cache (`fill`), or uses one that another program filled (`use`)."""

import sys
from pathlib import Path

import huggingface_hub

what, endpoint, cache, repo, *files = sys.argv[1:]
arguments = {"repo_id": repo, "cache_dir": cache, "endpoint": endpoint, "allow_patterns": files}

if what == "use":
    offline = Path(huggingface_hub.snapshot_download(**arguments, local_files_only=True))
    for file in files:
        assert (offline / file).is_file(), f"{file} is not in {sorted(offline.iterdir())}"
    found = huggingface_hub.try_to_load_from_cache(repo, files[0], cache_dir=cache)
    assert Path(found) == offline / files[0], found

folder = Path(huggingface_hub.snapshot_download(**arguments))
for file in files:
    assert (folder / file).stat().st_size > 0, file

known = {entry.repo_id: entry for entry in huggingface_hub.scan_cache_dir(cache).repos}
assert known[repo].nb_files >= len(files), known
