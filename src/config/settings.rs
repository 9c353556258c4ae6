//! The table of settings: their names, defaults and meaning. It is the one place that knows them.

use std::{collections::BTreeMap, net::IpAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use super::{
    kinds::{
        ADDRESS, BOUND, BUDGET, BYTES, CPU_KERNELS, DEVICE, DTYPE, FILE, ISOLATION, KEYS, LOAD_MODE, LOG_FORMAT,
        LOG_LEVEL, ON_PRELOAD_FAILURE, ORIGINS, PATH, PATHS, PROGRAM, SHARE, TIME_ORIGIN, UNKNOWN_FIELDS, USER, VERIFY,
        WARM, WEIGHTS, WHOLE, WORD,
    },
    models,
    setting::{Maybe, Plain, Setting, To},
    value::{COUNT, DURATION, FLAG, NAME, NAMES, PORT, ROUTE, SIZE, TEXT, URL, URLS},
};
use crate::{
    app::{BudgetChoice, Config, ServerConfig},
    catalog, http, jobs,
    lifecycle::{self, LoadMode, OnPreloadFailure},
    model::{
        Backing, CpuKernels, DTypeChoice, DeviceChoice, DeviceId, FlowLimits, GuardRules, ProgramChoice, Programs,
        ReferenceCacheConfig, WorkerRules,
    },
    process::Isolation,
    remote::{self, BucketsConfig, GcsConfig, S3Config, WebConfig},
    runtime, service,
    store::{self, Secret},
    telemetry::{self, LogFormat},
    wyoming,
};

/// Every setting that is not of one model, in the order of the documentation.
pub(super) static SETTINGS: &[Setting<Config>] = &[
    Setting::new(
        "load_mode",
        "on_demand",
        &To::<Config, _>(&LOAD_MODE, |c, v| c.lifecycle.mode = v),
        "When models are loaded. `startup`: before the server counts as healthy. `on_demand`: at the first request for \
         each, or by `POST /download-models`. `background`: right after the start, healthy meanwhile. Where \
         `AIP_STORAGE_URI` names a copy of a model the default is `startup`, as Vertex AI wants it.",
    )
    .plain(&[Plain::same("LOAD_MODE")])
    .hints(&[Plain { name: "AIP_STORAGE_URI", read: |_| Some("startup".to_owned()) }])
    .flag("load-mode", "MODE"),
    Setting::new(
        "default_model",
        "embedded",
        &Maybe::<Config, _>("embedded", &NAME, |c, v| c.catalog.default = v),
        "The model of a request that names none; `embedded` is the one inside the program. `MODEL_ID` and `--model` \
         may name several models: the first is the default one.",
    )
    .plain(&[Plain { name: "MODEL_ID", read: models::first }])
    .flag("model", "NAME").live(),
    Setting::new(
        "on_preload_failure",
        "retry",
        &To::<Config, _>(&ON_PRELOAD_FAILURE, |c, v| c.lifecycle.on_preload_failure = v),
        "What becomes of a start whose models cannot be loaded, in the modes that load at start. `retry`: go on and try \
         again, because a hub that is down comes back; with `load_mode = startup` the server is unhealthy until then, and \
         says why. `exit`: end the process. `lazy`: go on, with a warning; the first request tries again.",
    ),
    Setting::new(
        "models.only_configured",
        "auto",
        &Maybe::<Config, _>("auto", &FLAG, |c, v| c.catalog.only_configured = v),
        "Whether only models that the configuration names can be asked for, the default one and those inside the program \
         among them; else every preset can, and the first caller who names one has it fetched and loaded. `auto`: yes \
         where there are keys (`access.*`) or `AIP_MODE` is set, since a key to ask models is none to fill a disk.",
    )
    .hints(&[Plain { name: "AIP_MODE", read: |_| Some("true".to_owned()) }])
    .live(),
    Setting::new(
        "server.host",
        "any",
        &Maybe::<Config, _>("any", &ADDRESS, |c, v| c.server.bind = v),
        "Address to listen on. `any`: all of them, as a container must, of IPv6 and of IPv4, or of IPv4 alone where the \
         machine has no IPv6. `0.0.0.0`: all of IPv4 alone; `127.0.0.1` keeps a laptop's server to itself. The variable \
         `HOST` is not read: shells set it to the name of the machine.",
    )
    .flag("host", "ADDRESS"),
    Setting::new(
        "server.port",
        "8080",
        &To::<Config, _>(&PORT, |c, v| c.server.port = v),
        "Port to listen on; 0 picks a free one, which the log names. Vertex AI sets `AIP_HTTP_PORT`; Cloud Run and \
         RunPod set `PORT`.",
    )
    .plain(&[Plain::same("AIP_HTTP_PORT"), Plain::same("PORT")])
    .flag("port", "PORT"),
    Setting::new(
        "server.name",
        "hostname",
        &Maybe::<Config, _>("hostname", &WORD, |c, v| c.http.server_name = v),
        "What this replica is called, in the header `x-sconce-server` of every answer, in `/health` and in \
         `/models/status`: who has a problem can say which of many it was. `hostname`: as the machine or the pod is.",
    ),
    Setting::new(
        "server.workers",
        "2",
        &To::<Config, _>(&COUNT, |c, v| c.server.workers = v),
        "HTTP threads. They only parse and render, so two keep up with many models and leave the cores to those.",
    ),
    Setting::new(
        "server.grace",
        "0s",
        &To::<Config, _>(&DURATION, |c, v| c.server.grace = v),
        "After SIGTERM: unready, but still serving, for so long, so that load balancers notice. The default ends at \
         once on one machine; behind a Kubernetes service set `5s`.",
    ),
    Setting::new(
        "server.drain",
        "30s",
        &To::<Config, _>(&DURATION, |c, v| c.server.drain = v),
        "After the grace: requests in flight have so long to finish. Most transcriptions end within 30 s. Whoever \
         runs the container must allow grace and drain together: Kubernetes by `terminationGracePeriodSeconds`, which \
         is 30 s by default; Cloud Run gives 10 s.",
    ),
    Setting::new(
        "server.reload",
        "30s",
        &To::<Config, _>(&DURATION, |c, v| c.server.reload = v),
        "The file of keys and the certificate are looked at this often, and at every SIGHUP, and are taken when they \
         changed. Kubernetes takes a minute to bring a changed secret, so half of one adds little.",
    ),
    Setting::new(
        "server.max_connections",
        "10000",
        &To::<Config, _>(&COUNT, |c, v| c.server.max_connections = v),
        "Connections that are held at once; more wait to be accepted, probes as well. An idle one costs some \
         kilobytes, so the bound is far above what a replica is sent.",
    ),
    Setting::new(
        "server.keep_alive",
        "75s",
        &To::<Config, _>(&DURATION, |c, v| c.server.keep_alive = v),
        "How long a connection stays open between two requests. Longer than the 60 s of common load balancers, so that \
         it is they who close, and no request meets a connection that is just being closed.",
    ),
    Setting::new(
        "server.head_timeout",
        "10s",
        &To::<Config, _>(&DURATION, |c, v| c.server.head_timeout = v),
        "A request whose head is not there after so long is answered with 408.",
    ),
    Setting::new(
        "server.disconnect_timeout",
        "5s",
        &To::<Config, _>(&DURATION, |c, v| c.server.disconnect_timeout = v),
        "A connection that is being closed is cut off after so long.",
    ),
    Setting::new(
        "tls.certificate",
        "none",
        &Maybe::<Config, _>("none", &FILE, |c, v| c.server.certificate = v),
        "Serve HTTPS with this certificate: a PEM file, the server's own certificate first, then those that lead to \
         the root. By default the server speaks plain HTTP, because platforms end TLS before it.",
    ),
    Setting::new(
        "tls.key",
        "none",
        &Maybe::<Config, _>("none", &FILE, |c, v| c.server.private_key = v),
        "The private key of that certificate, a PEM file.",
    ),
    Setting::new(
        "access.keys",
        "none",
        &Maybe::<Config, _>("none", &KEYS, |c, v| c.http.access.keys = v.unwrap_or_default()),
        "Keys that may use models, each as it is or as `sha256:<hex>`. A caller sends one as `Authorization: Bearer \
         <key>`, `x-api-key` or `api-key`. Without any key, here or in a file, everybody may come in. Never shown.",
    )
    .secret(),
    Setting::new(
        "access.admin_keys",
        "none",
        &Maybe::<Config, _>("none", &KEYS, |c, v| c.http.access.admin_keys = v.unwrap_or_default()),
        "Keys that may bring models in and take them out as well. Never shown.",
    )
    .secret(),
    Setting::new(
        "access.file",
        "none",
        &Maybe::<Config, _>("none", &FILE, |c, v| c.http.access.file = v),
        "A file of further keys: one per line, or, if its name ends in `.toml`, `[[keys]]` tables with `name`, `key`, \
         `scopes`, `requests_per_minute`, `audio_seconds_per_minute`, `characters_per_minute` and `concurrency`. Changes \
         are taken over while the server runs (`server.reload`).",
    ),
    Setting::new(
        "access.requests_per_minute",
        "none",
        &Maybe::<Config, _>("none", &BOUND, |c, v| c.http.access.limits.requests_per_minute = v),
        "Requests for work that a key may send in a minute, unless the file of keys says otherwise; one more is \
         answered with 429. Only who knows the callers knows a number, so there is none by default.",
    ),
    Setting::new(
        "access.audio_seconds_per_minute",
        "none",
        &Maybe::<Config, _>("none", &BOUND, |c, v| c.http.access.limits.audio_seconds_per_minute = v),
        "Seconds of recordings that a key may send in a minute, unless the file of keys says otherwise. It bounds the \
         longest single recording as well.",
    ),
    Setting::new(
        "access.characters_per_minute",
        "none",
        &Maybe::<Config, _>("none", &BOUND, |c, v| c.http.access.limits.characters_per_minute = v),
        "Characters of text that a key may have spoken in a minute, unless the file of keys says otherwise. It bounds the \
         longest single text as well.",
    ),
    Setting::new(
        "access.concurrency",
        "none",
        &Maybe::<Config, _>("none", &BOUND, |c, v| c.http.access.limits.concurrency = v),
        "Requests for work that a key may have under way at once, unless the file of keys says otherwise.",
    ),
    Setting::new(
        "access.open_metrics",
        "false",
        &To::<Config, _>(&FLAG, |c, v| c.http.access.open_metrics = v),
        "Whether `/metrics` is open without a key, as probes are: for a Prometheus that has none, on a network that \
         may see the numbers.",
    ),
    Setting::new(
        "store.cache_dir",
        "/var/cache/sconce/hub",
        &To::<Config, _>(&PATH, |c, v| c.store.cache_dir = v),
        "Folder that model files are fetched into, in the layout of the hub's own cache, so that files which Python \
         tools fetched are used in place. The default is where those tools keep it, `~/.cache/huggingface/hub`; without a \
         home it is the folder given here.",
    )
    .plain(&[Plain::same("HF_HUB_CACHE"), Plain { name: "HF_HOME", read: |home| under(home, "hub") }])
    .hints(&[
        Plain { name: "XDG_CACHE_HOME", read: |cache| under(cache, "huggingface/hub") },
        Plain { name: "HOME", read: |home| under(home, ".cache/huggingface/hub") },
    ])
    .flag("cache-dir", "FOLDER"),
    Setting::new(
        "store.read_only",
        "none",
        &Maybe::<Config, _>("none", &PATHS, |c, v| c.store.read_only = v.unwrap_or_default()),
        "Further hub caches that are looked at first and never written: folders baked into an image, shared volumes. \
         An array, or one text with `:` between the folders.",
    ),
    Setting::new(
        "store.accepted_licences",
        "none",
        &Maybe::<Config, _>("none", &NAMES, |c, v| c.store.accepted_licences = v.unwrap_or_default()),
        "Licences of weights that ask for more than most, and that who runs the server agrees to, such as \
         `boson-higgs-audio-2-community`: without it nothing of such a model is fetched. `sconce pull --accept-licence` says \
         the same once for a cache. What is in a cache or a folder already is served.",
    ),
    Setting::new(
        "store.other_caches",
        "found",
        &Maybe::<Config, _>("found", &PATHS, |c, v| c.store.other_caches = v.unwrap_or_default()),
        "Hub caches of other tools, which are read in place after those, and need not be there. `found`: the one that \
         `HF_HUB_CACHE`, `HF_HOME` or the home folder names, if files are fetched elsewhere, and on RunPod the one of \
         its network volume.",
    ),
    Setting::new(
        "store.quota",
        "none",
        &Maybe::<Config, _>("none", &SIZE, |c, v| c.store.quota = v),
        "How much the folder that files are fetched into may hold, everything in it counted. What was not used for \
         longest makes room; what is loaded by any process, being written, or fetched by other tools stays. By default \
         there is no bound, because only who runs the machine knows what else its disk is for.",
    ),
    Setting::new(
        "store.endpoint",
        "https://huggingface.co",
        &To::<Config, _>(&URLS, |c, v| c.store.endpoints = v),
        "Base address of the hub. Mirrors may follow it, as an array or after commas: they are asked in their order \
         when the one before does not answer or does not have the repository. Only the first one gets the token.",
    )
    .plain(&[Plain::same("HF_ENDPOINT")]),
    Setting::new(
        "store.token",
        "none",
        &Maybe::<Config, _>("none", &TEXT, |c, v| c.store.token = v.map(Secret)),
        "Bearer token for gated and private repositories. If nothing gives one, it is read from the file that \
         `HF_TOKEN_PATH` names, or else from `token` in `HF_HOME` (`~/.cache/huggingface`), where the hub's own tools \
         leave it. Never shown.",
    )
    .plain(&[Plain::same("HF_TOKEN"), Plain::same("HUGGING_FACE_HUB_TOKEN")])
    .secret(),
    Setting::new(
        "store.offline",
        "false",
        &To::<Config, _>(&FLAG, |c, v| c.store.offline = v),
        "Never touch the network: what is not on this machine is unavailable, and the answer says so.",
    )
    .plain(&[Plain::same("HF_HUB_OFFLINE")])
    .flag("offline", "BOOL"),
    Setting::new(
        "store.idle_timeout",
        "30s",
        &To::<Config, _>(&DURATION, |c, v| c.store.idle_timeout = v),
        "A transfer without a byte for so long is broken off and resumed. Long enough for a slow link to recover, \
         short enough that a dead one is noticed.",
    ),
    Setting::new(
        "store.min_rate",
        "1KB",
        &To::<Config, _>(&SIZE, |c, v| c.store.min_rate = v),
        "A connection that brings fewer bytes per second than this, over `store.idle_timeout`, is broken off and \
         resumed. The default is far below any link that could bring a model, and above one that only pretends to.",
    ),
    Setting::new(
        "store.attempts",
        "5",
        &To::<Config, _>(&WHOLE, |c, v| c.store.attempts = v),
        "Tries per range of a file, the first included. Each goes on where the last one ended, so five get a large \
         file through a poor link.",
    ),
    Setting::new(
        "store.connections",
        "10",
        &To::<Config, _>(&COUNT, |c, v| c.store.connections = v),
        "Connections that bring files at once, all files together. Storages limit each connection, so ten bring a \
         large file many times as fast as one; more bring little, and look like an attack.",
    ),
    Setting::new(
        "store.xet",
        "true",
        &To::<Config, _>(&FLAG, |c, v| c.store.xet = v),
        "Whether files that the hub keeps in chunks (Xet) come from its storage of chunks, over at most \
         `store.connections` connections and with at most 256 MB of memory. Where that fails, and where a hub has no such \
         storage, they come in ranges as all others do.",
    ),
    Setting::new(
        "store.xet_cache",
        "none",
        &Maybe::<Config, _>("none", &SIZE, |c, v| c.store.xet_cache = v.unwrap_or_default()),
        "Disk space for chunks that came, in `.xet` below the cache: of a new revision only what is not among them is \
         fetched. By default none, because they take the place of the files once more.",
    ),
    Setting::new(
        "store.reserve",
        "256MB",
        &To::<Config, _>(&SIZE, |c, v| c.store.reserve = v),
        "Disk space that a download leaves free. One that would not is refused before its first byte, with what the \
         model lacks in all and what there is. A `config.json`, which says what else is needed, comes all the same.",
    ),
    Setting::new(
        "store.keep_derived",
        "true",
        &To::<Config, _>(&FLAG, |c, v| c.store.keep_derived = v),
        "Keep what a model computes of its files at each load beside them, in `.sconce` of its repository: weights of eight          bits (`dtype = \"q8\"`, which is what `auto` means for Whisper on most processors), half as large as the halves that          they are made of. The next load maps them, and several processes share them. They count with the model in          `store.quota` and go with it. Where the disk has no room for as much as the model's files beside `store.reserve`, or \
         nothing may be written, none are kept.",
    ),
    Setting::new(
        "store.verify",
        "fetch",
        &To::<Config, _>(&VERIFY, |c, v| c.store.verify = v),
        "When files are held against their sha256. `fetch`: when they come, which is enough where only servers like this \
         one write to the cache. `load`: before each load as well, which reads and hashes all of them (about a second for \
         each gigabyte, and longer from a slow disk); what is damaged is named, put aside and fetched again. Of files in a \
         folder (`file:`) no checksum is known.",
    ),
    Setting::new(
        "remote.allow_buckets",
        "none",
        &Maybe::<Config, _>("none", &NAMES, |c, v| c.remote.allow_buckets = v.unwrap_or_default()),
        "Buckets that requests may name, to read recordings from and to write answers to; `*` is any. By default none, \
         because the account of this server may read more than its callers should. Models may come from any bucket.",
    ),
    Setting::new(
        "remote.web.allow_hosts",
        "none",
        &Maybe::<Config, _>("none", &NAMES, |c, v| c.remote.web.allow_hosts = v.unwrap_or_default()),
        "Hosts that requests may name to fetch recordings from: `media.example.com`, `*.example.com`, \
         `example.com:8443`, or `*` for any. Without a port it is the ordinary one. By default none, so that nobody \
         makes this server fetch for him. No proxy is used.",
    ),
    Setting::new(
        "remote.web.allow_http",
        "false",
        &To::<Config, _>(&FLAG, |c, v| c.remote.web.allow_http = v),
        "Whether such a host may be asked without encryption.",
    ),
    Setting::new(
        "remote.web.allow_private",
        "false",
        &To::<Config, _>(&FLAG, |c, v| c.remote.web.allow_private = v),
        "Whether such a host may be this machine or one of a private network. Off, because that is where metadata \
         servers and other things live which trust whoever is inside.",
    ),
    Setting::new(
        "remote.s3.endpoint",
        "none",
        &Maybe::<Config, _>("none", &URL, |c, v| c.remote.buckets.s3.endpoint = v),
        "Address of a service that speaks like S3. By default Amazon's, in the region.",
    )
    .plain(&[Plain::same("AWS_ENDPOINT_URL_S3"), Plain::same("AWS_ENDPOINT_URL")]),
    Setting::new(
        "remote.s3.region",
        "us-east-1",
        &To::<Config, _>(&NAME, |c, v| c.remote.buckets.s3.region = v),
        "Region of the buckets. The default is Amazon's own.",
    )
    .plain(&[Plain::same("AWS_REGION"), Plain::same("AWS_DEFAULT_REGION")]),
    Setting::new(
        "remote.s3.access_key_id",
        "none",
        &Maybe::<Config, _>("none", &TEXT, |c, v| c.remote.buckets.s3.access_key_id = v),
        "Name of an access key. By default the rights are those of the machine: its web identity, its container's or \
         its instance's role.",
    )
    .plain(&[Plain::same("AWS_ACCESS_KEY_ID")]),
    Setting::new(
        "remote.s3.secret_access_key",
        "none",
        &Maybe::<Config, _>("none", &TEXT, |c, v| c.remote.buckets.s3.secret_access_key = v.map(Secret)),
        "The access key's secret. Never shown.",
    )
    .plain(&[Plain::same("AWS_SECRET_ACCESS_KEY")])
    .secret(),
    Setting::new(
        "remote.s3.session_token",
        "none",
        &Maybe::<Config, _>("none", &TEXT, |c, v| c.remote.buckets.s3.session_token = v.map(Secret)),
        "What goes with a temporary access key. Never shown.",
    )
    .plain(&[Plain::same("AWS_SESSION_TOKEN")])
    .secret(),
    Setting::new(
        "remote.s3.anonymous",
        "false",
        &To::<Config, _>(&FLAG, |c, v| c.remote.buckets.s3.anonymous = v),
        "Ask without any key, as public buckets allow.",
    ),
    Setting::new(
        "remote.gcs.endpoint",
        "none",
        &Maybe::<Config, _>("none", &URL, |c, v| c.remote.buckets.gcs.endpoint = v),
        "Address of something that speaks like Google Cloud Storage. By default Google's.",
    )
    .plain(&[Plain { name: "STORAGE_EMULATOR_HOST", read: with_scheme }]),
    Setting::new(
        "remote.gcs.credentials",
        "none",
        &Maybe::<Config, _>("none", &TEXT, |c, v| c.remote.buckets.gcs.credentials = v),
        "File with the key of a service account. By default the rights are those that `gcloud auth application-default \
         login` left, or else those of the machine, as on Vertex AI and GKE.",
    )
    .plain(&[Plain::same("GOOGLE_APPLICATION_CREDENTIALS")]),
    Setting::new(
        "remote.gcs.anonymous",
        "false",
        &To::<Config, _>(&FLAG, |c, v| c.remote.buckets.gcs.anonymous = v),
        "Ask without any key, as public buckets allow.",
    ),
    Setting::new(
        "retry.first_delay",
        "1s",
        &To::<Config, _>(&DURATION, |c, v| c.lifecycle.retry_base = v),
        "After a model could not be had: the first pause before another try. It doubles with each further failure. One \
         second passes over a blip.",
    )
    .live(),
    Setting::new(
        "retry.max_delay",
        "1m",
        &To::<Config, _>(&DURATION, |c, v| c.lifecycle.retry_max = v),
        "The longest such pause. A minute does not press a hub that is down, and finds it soon after it is back.",
    )
    .live(),
    Setting::new(
        "runtime.device",
        "auto",
        &To::<Config, _>(&DEVICE, |c, v| c.runtime.device = v),
        "Where models live: `cpu`, `cuda`, `cuda:1`, `metal`. `auto` is the accelerator with the most free memory, model \
         by model, and the CPU where no accelerator answers. Which one it is stands in `/models/status`, in the metric \
         `sconce_model_info` and in the header `x-sconce-device` of every answer.",
    )
    .flag("device", "DEVICE"),
    Setting::new(
        "runtime.require_gpu",
        "false",
        &To::<Config, _>(&FLAG, |c, v| c.runtime.require_gpu = v),
        "Do not start without an accelerator. Off, because the CPU serves small models well; where it would not do, a \
         server that does not start is better than one that is twenty times slower.",
    ),
    Setting::new(
        "runtime.dtype",
        "auto",
        &To::<Config, _>(&DTYPE, |c, v| c.runtime.dtype = v),
        "Type of weights and activations: `f32`, `f16`, `bf16`, or `q8`, in which the weights of linear layers have eight \
         bits, on a CPU, in Whisper, Voxtral, Chatterbox, Zonos, Higgs Audio and YuE. `auto` is what is usual for a model's family: on a CPU `q8` for \
         Whisper where the processor multiplies eight bits fastest, and f32 for all else; on an accelerator bf16 for Voxtral, Higgs Audio and YuE, \
         where the card has it, and f16 for all else.",
    ),
    Setting::new(
        "runtime.cpu_kernels",
        "auto",
        &To::<Config, _>(&CPU_KERNELS, |c, v| c.runtime.cpu_kernels = v),
        "What computes on a CPU. `auto`: our own kernels, with the widest vectors and the matrix unit where the processor has \
         them. `avx512`, `avx2` and `portable`: those kernels with no more than that, so that machines of several kinds \
         compute the same, or to see what a processor gives. `candle`: the operations of the library candle, slower, and \
         without `q8`.",
    ),
    Setting::new(
        "runtime.weights",
        "auto",
        &Maybe::<Config, _>("auto", &WEIGHTS, |c, v| c.runtime.weights = v),
        "How the CPU has weights that stay as their file has them. `map`: where the file is mapped, so that a load copies \
         nothing, and what a load brought is read again if the system took it back. The file must then stay as it is: one \
         that somebody cuts short while its model is loaded ends the process (SIGBUS). This server never does that to a \
         file, on any machine that shares its folder. `copy`: in memory of the model's own. Right where others may write \
         to the files, and on network file systems, which may fail long after a load. `auto`: `copy` for a model in a \
         folder (`file:`) whose files this process could write to, else `map`.",
    ),
    Setting::new(
        "runtime.threads",
        "auto",
        &Maybe::<Config, _>("auto", &COUNT, |c, v| c.runtime.threads = v),
        "CPU threads for model work; `auto`: as many as this process may use.",
    )
    .flag("threads", "COUNT"),
    Setting::new(
        "runtime.queue",
        "64",
        &To::<Config, _>(&COUNT, |c, v| c.runtime.queue = v),
        "Requests that may wait for one model; one more is answered with 429 at once. 64 bounds how long \
         the last of them waits: who comes later is better served by another replica.",
    ),
    Setting::new(
        "runtime.max_batch",
        "8",
        &To::<Config, _>(&COUNT, |c, v| c.runtime.max_batch = v),
        "Requests that a model works on at once, at most. Each takes memory for its caches; with 8 those stay \
         small beside the weights.",
    ),
    Setting::new(
        "runtime.max_failures",
        "5",
        &To::<Config, _>(&COUNT, |c, v| c.runtime.max_failures = v),
        "A model that fails so many requests in a row, for no reason of theirs, is taken out, and loaded anew by the next \
         request after `retry.first_delay`; if it goes on so, the pauses double up to `retry.max_delay`. Five are no \
         accident: its files were changed under it, or its memory was.",
    ),
    Setting::new(
        "memory.max_resident",
        "none",
        &Maybe::<Config, _>("none", &COUNT, |c, v| c.lifecycle.max_resident = v),
        "Models in memory at once, at most. With 1, a request for another model unloads the one and loads the other. \
         By default only the budget bounds them.",
    )
    .flag("max-resident", "COUNT").live(),
    Setting::new(
        "memory.budget",
        "auto",
        &To::<Config, _>(&BUDGET, |c, v| c.budget = v),
        "Memory that models may take together on each device; idle ones make room for others, and one that could never fit \
         is refused with 507 before it kills the process. `auto`: of main memory what the machine has or the limits of \
         the container allow, of an accelerator what is free at the start, each less `memory.reserve`. `none`: no bound.",
    )
    .live(),
    Setting::new(
        "memory.warm",
        "auto",
        &To::<Config, _>(&WARM, |c, v| c.warm = v),
        "Host memory in which models stay that left an accelerator for others, so that they come back as fast as their bytes \
         cross the bus; those that left last stay. It counts to what the host has for models, of which models on the CPU \
         come first, and none is held that the machine has no free memory for. `auto`: half of what `memory.budget = auto` \
         gives to the CPU. `none`: none stays. Without an accelerator it says nothing.",
    )
    .live(),
    Setting::new(
        "memory.reserve",
        "512MiB",
        &To::<Config, _>(&SIZE, |c, v| c.runtime.reserve = v),
        "What `memory.budget = auto` leaves of each device: for recordings on their way, for what a model computes with, \
         for the rest of the machine. Two hours of sound decode to 460 MB.",
    ),
    Setting::new(
        "memory.leak_threshold",
        "64MiB",
        &To::<Config, _>(&SIZE, |c, v| c.runtime.leak_threshold = v),
        "A model that goes and leaves more than this of what came with it is reported: a warning, and \
         `sconce_model_leaked_bytes_total`. Below it stands the noise of an allocator that other threads use.",
    ),
    Setting::new(
        "memory.idle_ttl",
        "none",
        &Maybe::<Config, _>("none", &DURATION, |c, v| c.lifecycle.idle_ttl = v),
        "Unload a model after so long without a request, unless its last one said otherwise by `keep_alive`. By default \
         it stays, because loading it again costs a caller seconds.",
    )
    .live(),
    Setting::new(
        "memory.room_patience",
        "10s",
        &To::<Config, _>(&DURATION, |c, v| c.lifecycle.room_patience = v),
        "A request waits so long for a busy model to become idle and make room; then the busy one takes no new \
         requests. A model that came in has a turn of that length itself before it goes for another, so nobody waits \
         longer than a turn, a drain and a load for each model that is before. Ten seconds let two models share the \
         memory without swapping at every request.",
    )
    .live(),
    Setting::new(
        "limits.wait",
        "50s",
        &To::<Config, _>(&DURATION, |c, v| c.service.wait = v),
        "How long a request waits for its model to load, unless it says otherwise; then it is answered with 503 and \
         `Retry-After`. Ten seconds under the 60 s after which a shared Vertex endpoint gives up without a reason.",
    )
    .live(),
    Setting::new(
        "limits.waiters",
        "512",
        &To::<Config, _>(&COUNT, |c, v| c.lifecycle.max_waiters = v),
        "Requests that may wait for one model that is not there yet; one more is answered with 429 when it comes. All who \
         wait are served when the model is there, in their order and before whoever comes later. Each holds its \
         recording or text in memory meanwhile, so that far more would be a risk.",
    )
    .live(),
    Setting::new(
        "limits.request_timeout",
        "10m",
        &To::<Config, _>(&DURATION, |c, v| c.service.request_timeout = v),
        "How long a request may take in all, once its model is there. Ten minutes is the default of a dedicated Vertex \
         endpoint and of the official OpenAI client.",
    )
    .live(),
    Setting::new(
        "limits.max_audio",
        "2h",
        &To::<Config, _>(&DURATION, |c, v| c.service.max_audio = v),
        "Longest recording that is taken. Two hours hold a lecture or a meeting and decode to 460 MB of samples.",
    )
    .live(),
    Setting::new(
        "limits.max_text",
        "100000",
        &To::<Config, _>(&COUNT, |c, v| c.service.max_text = v),
        "Characters of a text that is spoken, markup included. 100000 are about two hours of speech; sound is sent while it \
         is made, so the length costs time and hardly any memory.",
    )
    .live(),
    Setting::new(
        "limits.max_decoded",
        "1GiB",
        &To::<Config, _>(&BYTES, |c, v| c.service.max_decoded = v),
        "Decoded sound that is in memory at once, over all requests; more is answered with 429. A recording takes it \
         while it is decoded and until it is answered, whatever its file is: 24 kB can be two hours, 460 MB of samples. \
         The default holds two of those. Speech that is gathered for an answer in one piece counts as well.",
    ),
    Setting::new(
        "limits.output_buffer",
        "4MiB",
        &To::<Config, _>(&BYTES, |c, v| c.service.output.bytes = v),
        "What a model may make ahead of the one who reads its answer; until that is read it goes on with other requests, \
         or waits. 4 MiB hold the sound of `limits.output_buffer_audio` at 32 kHz.",
    )
    .live(),
    Setting::new(
        "limits.output_buffer_audio",
        "30s",
        &To::<Config, _>(&DURATION, |c, v| c.service.output.sound = v),
        "The same in seconds of sound. Half a minute is ahead of any player, and is soon made anew where a listener leaves.",
    )
    .live(),
    Setting::new(
        "limits.input_buffer",
        "1MiB",
        &To::<Config, _>(&BYTES, |c, v| c.service.input.bytes = v),
        "What may wait of a live recording, or of a text that is still being written, until its model takes it; who sends \
         faster is held back. 1 MiB holds `limits.input_buffer_audio` as samples.",
    )
    .live(),
    Setting::new(
        "limits.input_buffer_audio",
        "10s",
        &To::<Config, _>(&DURATION, |c, v| c.service.input.sound = v),
        "The same in seconds of sound. Ten of them bridge the longest step of a model on a busy machine.",
    )
    .live(),
    Setting::new(
        "limits.max_body",
        "100MB",
        &To::<Config, _>(&BYTES, |c, v| c.http.body_limit = v),
        "Largest request body, unpacked, and largest recording that a request names by its address. OpenAI's 25 MB end \
         after 13 minutes of 16-bit mono WAV at 16 kHz, too early for a meeting; 100 MB hold 52.",
    ),
    Setting::new(
        "limits.concurrency",
        "none",
        &Maybe::<Config, _>("none", &COUNT, |c, v| c.http.access.concurrency = v),
        "Requests for work that may be under way at once, of all callers together, bodies that still arrive included; \
         one more is answered with 429. By default the queue of each model is the bound, and slow senders are none.",
    ),
    Setting::new(
        "limits.max_bodies",
        "1GB",
        &To::<Config, _>(&BYTES, |c, v| c.http.bodies_limit = v),
        "Request bodies that are in memory at once, over all requests, and with them what is made of them until a model \
         has it: values of JSON, recordings out of forms and base64. More are answered with 429. The default holds ten \
         of the largest recordings as they are, or three in JSON.",
    ),
    Setting::new(
        "limits.max_instances",
        "1000",
        &To::<Config, _>(&COUNT, |c, v| c.http.max_instances = v),
        "Instances of an envelope, and recordings of a batch of tensors; a request with more is refused with 413. They are \
         worked on a few at a time, so that a thousand keep a model busy for minutes.",
    ),
    Setting::new(
        "limits.max_fields",
        "20000",
        &To::<Config, _>(&COUNT, |c, v| c.http.max_fields = v),
        "Fields and elements of a JSON body, nested ones included, and parts of a form; a request with more is refused \
         with 413 before it is parsed. Samples of a tensor do not count. The default is twenty for each of \
         `limits.max_instances`, and takes 5 MB.",
    ),
    Setting::new(
        "limits.body_timeout",
        "5m",
        &To::<Config, _>(&DURATION, |c, v| c.http.body_timeout = v),
        "A request whose body is not there after so long is answered with 408. Five minutes bring 100 MB over a link of \
         3 Mbit/s.",
    ),
    Setting::new(
        "http.cors_origins",
        "none",
        &Maybe::<Config, _>("none", &ORIGINS, |c, v| c.http.cors_origins = v.unwrap_or_default()),
        "Origins whose pages may use this server from a browser; `*` is any. By default no page of another origin may.",
    ),
    Setting::new(
        "http.unknown_fields",
        "refuse",
        &To::<Config, _>(&UNKNOWN_FIELDS, |c, v| c.http.unknown_fields = v),
        "What becomes of fields of a request that nobody here knows, in JSON, in a form and in a query. `refuse`: the request \
         is, with the names of those that there are. `warn`: they are left out, and the header `x-sconce-ignored` of the \
         answer names them. Those of administrative routes, of `options` and of WebSockets are refused either way.",
    ),
    Setting::new(
        "http.console",
        "true",
        &To::<Config, _>(&FLAG, |c, v| c.http.console = v),
        "Whether the page at `/` is served, on which people look, listen and operate. It is open as probes are, and \
         everything that it shows it asks for with the key of whoever looks.",
    ),
    Setting::new(
        "http.health_route",
        "none",
        &Maybe::<Config, _>("none", &ROUTE, |c, v| c.http.health_route = v),
        "A path that is served like `/health`, beside it. Vertex AI sets it.",
    )
    .plain(&[Plain::same("AIP_HEALTH_ROUTE")]),
    Setting::new(
        "http.predict_route",
        "none",
        &Maybe::<Config, _>("none", &ROUTE, |c, v| c.http.predict_route = v),
        "A path that is served like `/predict`, beside it. Vertex AI sets it.",
    )
    .plain(&[Plain::same("AIP_PREDICT_ROUTE")]),
    Setting::new(
        "http.admin",
        "true",
        &To::<Config, _>(&FLAG, |c, v| c.http.admin = v),
        "Whether `POST /download-models` and its like are open. Where `AIP_MODE` is set the default is `false`: a \
         Vertex endpoint may expose every path of the container.",
    )
    .hints(&[Plain { name: "AIP_MODE", read: |_| Some("false".to_owned()) }]),
    Setting::new(
        "http.stall_timeout",
        "5m",
        &To::<Config, _>(&DURATION, |c, v| c.http.stall_timeout = v),
        "A model that is busy and makes no step for so long makes `/health/live` fail, so that the server is started \
         again. A step is short, except that a large encoder on a small CPU takes minutes.",
    ),
    Setting::new(
        "audio.ffmpeg",
        "auto",
        &To::<Config, _>(&PROGRAM, |c, v| c.service.ffmpeg = v),
        "The program that hears recordings which are not decoded here (AMR, WMA, AC-3, transport streams; docs/AUDIO.md): \
         `auto`, what the search path has; the path of one; or `off`. It gets the bytes by a pipe, opens no file and no \
         address, and takes 1 GiB of memory at most; as many run at once as there are cores. It is looked for at the start.",
    ),
    Setting::new(
        "audio.ffmpeg_time_limit",
        "2m",
        &To::<Config, _>(&DURATION, |c, v| c.service.ffmpeg_time_limit = v),
        "How long it may take over one recording; then it is killed, and the recording refused.",
    ),
    Setting::new(
        "audio.voice_network",
        "none",
        &Maybe::<Config, _>("none", &FILE, |c, v| c.service.listening.voice_network = v),
        "The network that finds speech, where a request has silence cut out (`vad_filter`, `chunking_strategy`), where a live \
         session ends an item, and where speakers are told apart: `silero_vad_16k.safetensors` of the package `silero-vad`. \
         `none`: speech is what stands out of the noise, which takes music for speech (docs/AUDIO.md).",
    ),
    Setting::new(
        "audio.speaker_network",
        "none",
        &Maybe::<Config, _>("none", &FILE, |c, v| c.service.listening.speaker_network = v),
        "The network by which speakers are told apart (`diarize`, docs/speakers.md): CAM++ as 3D-Speaker publishes it \
         (`campplus_cn_en_common.pt`), or the `s3gen.safetensors` of a Chatterbox, of which it is a part.",
    ),
    Setting::new(
        "audio.speaker_threshold",
        "0.3",
        &To::<Config, _>(&SHARE, |c, v| c.service.listening.speakers.threshold = v as f32),
        "Cosine of two voices from which on they are one speaker's: higher where one is told as two, lower where two are told \
         as one (docs/speakers.md has error rates).",
    ),
    Setting::new(
        "audio.max_speakers",
        "16",
        &To::<Config, _>(&COUNT, |c, v| c.service.listening.speakers.most = v),
        "Speakers of a recording, at most; what others say counts as said by whom they sound most like.",
    ),
    Setting::new(
        "timestamps.origin",
        "container",
        &To::<Config, _>(&TIME_ORIGIN, |c, v| c.service.time_origin = v),
        "What times of segments and words count from. `container`: from where the file says that it begins, so that subtitles \
         fit the film: a track that begins late, and a gap in it, is silence. `sound`: from the first sample, and gaps are \
         closed.",
    ),
    Setting::new(
        "speech.lexicon",
        "none",
        &Maybe::<Config, _>("none", &FILE, |c, v| c.service.lexicon = v.map(service::LexiconFile::new)),
        "A TOML file that says how words are to be said, as `examples/pronunciations.toml` does: for names and terms that \
         a voice says wrongly. It is read at the start and at every SIGHUP; a fault in it is a fault of the configuration.",
    ).live(),
    Setting::new(
        "speech.normalize_loudness",
        "false",
        &To::<Config, _>(&FLAG, |c, v| c.service.normalize_loudness = v),
        "Whether speech is brought to the loudness of EBU R128, -23 LUFS, without clipping, where a request does not say \
         (`normalize_loudness`). Off, since it holds the first 0.4 s of sound back to measure them.",
    ).live(),
    Setting::new(
        "speech.reference_cache",
        "auto",
        &Maybe::<Config, _>("auto", &PATH, |c, v| c.runtime.references.folder = v),
        "Folder in which what models compute of a reference recording is kept, so that a voice costs nothing the second time, \
         also after a restart; several processes may share it. What is in it tells a voice as the recording does. `auto`: \
         `.references` in `voices.dir`, and without that in memory only.",
    ),
    Setting::new(
        "speech.reference_cache_size",
        "1GB",
        &To::<Config, _>(&SIZE, |c, v| c.runtime.references.disk = v),
        "Bytes in that folder, at most. What was used longest ago goes first.",
    ),
    Setting::new(
        "speech.reference_cache_memory",
        "64MB",
        &To::<Config, _>(&SIZE, |c, v| (c.runtime.references.memory, c.service.voice_memory) = (v, v)),
        "Bytes of it in memory, at most, and as many of the recordings themselves, decoded and at the rate that a model wants. \
         What was used longest ago goes first.",
    ),
    Setting::new(
        "speech.espeak_ng",
        "auto",
        &To::<Config, _>(&PROGRAM, |c, v| drop(c.runtime.programs.choices.insert("espeak-ng", v))),
        "The program `espeak-ng`, which speaks for the model of that name as a process of its own; it is no part of this \
         program, and `apt-get install espeak-ng` brings it. `auto`: the one on the `PATH`, if there is one; a path that \
         begins with `/`: that one; `off`: none, so that the model cannot be had.",
    ),
    Setting::new(
        "onnx.library",
        "auto",
        &To::<Config, _>(&PROGRAM, |c, v| drop(c.runtime.programs.choices.insert("onnxruntime", v))),
        "The library ONNX Runtime, by which voices in ONNX are computed (docs/models.md); it is no part of this program, and \
         `pip install onnxruntime` brings it. `auto`: what lies beside the folders of the `PATH`, in `lib`, `lib64`, \
         `lib/python3*/site-packages` and the like; a path that begins with `/`: that file, or what is in that folder; \
         `off`: none. It is loaded once, so that another one holds after a restart.",
    ),
    Setting::new(
        "vosk.library",
        "auto",
        &To::<Config, _>(&PROGRAM, |c, v| drop(c.runtime.programs.choices.insert("vosk", v))),
        "The library libvosk, by which models of Vosk hear (docs/models.md); it is no part of this program, and \
         `pip install vosk` brings it. `auto`: what lies beside the folders of the `PATH`, in `lib`, `lib64`, \
         `lib/python3*/site-packages` and the like; a path that begins with `/`: that file, or what is in that folder; \
         `off`: none.",
    ),
    Setting::new(
        "workers.isolation",
        "auto",
        &To::<Config, _>(&ISOLATION, |c, v| each_guard(c, |guard| guard.isolation = v)),
        "Whether models that are programs, and ffmpeg, run apart from the rest of the machine, in namespaces of their own: \
         without a network, unless a model's `worker_network` says otherwise, and without a sight of other processes. `auto`: \
         as far as the system allows, which `process.apart` in `GET /models/status` tells of a model, and the log of ffmpeg; \
         `required`: wholly, or the model does not load, and nothing is heard by ffmpeg; `off`: not at all.",
    ),
    Setting::new(
        "workers.user",
        "none",
        &Maybe::<Config, _>("none", &USER, |c, v| each_guard(c, |guard| guard.user = v)),
        "Numbers of the user and the group that such programs, and ffmpeg, run as, where the server runs as the superuser, as \
         `65534:65534`. Their files must be readable for that user. `none`: as the server.",
    ),
    Setting::new(
        "workers.memory",
        "4GiB",
        &To::<Config, _>(&SIZE, |c, v| c.runtime.programs.workers.memory = v),
        "Bytes of memory that such a program and all that it began may hold; it is ended when it holds more, and loaded \
         again when somebody asks. Enough for the models that people run on a CPU.",
    ),
    Setting::new(
        "workers.hello_timeout",
        "1m",
        &To::<Config, _>(&DURATION, |c, v| c.runtime.programs.workers.hello_timeout = v),
        "For such a program to say what it is. Python takes some seconds to import its libraries from a slow disk.",
    ),
    Setting::new(
        "workers.load_timeout",
        "10m",
        &To::<Config, _>(&DURATION, |c, v| c.runtime.programs.workers.load_timeout = v),
        "For such a program to be ready, after that.",
    ),
    Setting::new(
        "workers.piece_timeout",
        "1m",
        &To::<Config, _>(&DURATION, |c, v| c.runtime.programs.workers.piece_timeout = v),
        "How long such a program may say nothing while it works, or when it is asked whether it lives. It is ended then, and \
         its requests fail.",
    ),
    Setting::new(
        "workers.cancel_timeout",
        "30s",
        &To::<Config, _>(&DURATION, |c, v| c.runtime.programs.workers.cancel_timeout = v),
        "For such a program to leave a request alone that nobody waits for any more; it is ended then. As long as a call into \
         a library that cannot be broken off may take.",
    ),
    Setting::new(
        "workers.guard",
        "auto",
        &To::<Config, _>(&PROGRAM, |c, v| each_guard(c, |guard| guard.program = v.clone())),
        "The program that stands between the server and such a program, or ffmpeg, ends all that it began, and takes from it \
         what it does not need. `auto`: this one; a path: that one, which must be a `sconce`; `off`: none, so that only the \
         program's own group ends with it.",
    ),
    Setting::new(
        "voices.dir",
        "none",
        &Maybe::<Config, _>("none", &PATH, |c, v| c.service.voices = v),
        "Folder of recordings of speakers, one file per voice, for models that speak with a voice they were shown. \
         `POST /v1/audio/voices` writes into it, `audio_prompt_path` of `POST /generate` names files in it, and nobody \
         reads beside it. By default there are no voices and none can be added: where they may be kept is for who runs \
         the machine to say.",
    ),
    Setting::new(
        "voices.transcriber",
        "none",
        &Maybe::<Config, _>("none", &NAME, |c, v| c.service.transcriber = v),
        "A model of this server that writes down what is said in the recording of a voice, where nobody did and the model that \
         is to speak in the voice has to know (Higgs Audio). It is loaded for that like for any request, and what it wrote is \
         kept as long as there is memory for it. Without it such a request is refused.",
    ).live(),
    Setting::new(
        "live.max_sessions",
        "64",
        &To::<Config, _>(&COUNT, |c, v| c.service.live.max_sessions = v),
        "Live sessions that are open at once, over all callers and protocols; one more is refused with 429. Each holds at most \
         twice `live.max_item` of sound, within `limits.max_decoded`.",
    )
    .live(),
    Setting::new(
        "live.max_sessions_per_key",
        "none",
        &Maybe::<Config, _>("none", &COUNT, |c, v| c.service.live.max_sessions_per_key = v),
        "Live sessions that a key may have open at once. `access.concurrency` counts them among its other requests as well.",
    )
    .live(),
    Setting::new(
        "live.max_session",
        "1h",
        &To::<Config, _>(&DURATION, |c, v| c.service.live.max_session = v),
        "How long a live session may last; its client is told, and begins another one. As long as at OpenAI.",
    )
    .live(),
    Setting::new(
        "live.max_item",
        "1m",
        &To::<Config, _>(&DURATION, |c, v| c.service.live.max_item = v),
        "Sound of one item. Who speaks on without a pause gets their text in items of this length; where the client says \
         where items end, more is refused. As much may wait for the model before no more is read. A minute holds what \
         people say in one breath many times over.",
    )
    .live(),
    Setting::new(
        "live.partials",
        "500ms",
        &Maybe::<Config, _>("none", &DURATION, |c, v| c.service.live.partials = v),
        "New sound after which an item that is still spoken is heard for the words that are certain by now. Each time costs \
         about as much as the whole item will, so that it becomes more where many speak at once or the model is slow: no more \
         than half of the time of `live.max_partials` is used. `none`: items are heard once, when they are whole.",
    )
    .live(),
    Setting::new(
        "live.max_partials",
        "4",
        &To::<Config, _>(&COUNT, |c, v| c.service.live.max_partials = v),
        "Items that are heard before their end at the same time, over all sessions; the others wait. So a crowd of speakers \
         costs early words, and whole items come through.",
    ),
    Setting::new(
        "live.max_rate",
        "10",
        &To::<Config, _>(&COUNT, |c, v| c.service.live.max_rate = v),
        "How many times faster than it was spoken sound is taken, once `live.ahead` is used up. Who sends faster is not \
         read meanwhile.",
    )
    .live(),
    Setting::new(
        "live.ahead",
        "30s",
        &To::<Config, _>(&DURATION, |c, v| c.service.live.ahead = v),
        "Sound that may come at once, whatever `live.max_rate` says: what a client gathered before it was connected.",
    )
    .live(),
    Setting::new(
        "live.max_message",
        "1MiB",
        &To::<Config, _>(&BYTES, |c, v| c.http.realtime.max_message = v),
        "Bytes of a message of `/v1/realtime` and `/vosk`, whatever frames it comes in; a longer one ends the session. 1 MiB of base64 \
         holds 16 s at 24 kHz.",
    ),
    Setting::new(
        "live.idle",
        "5m",
        &To::<Config, _>(&DURATION, |c, v| c.http.realtime.idle = v),
        "A session of `/v1/realtime` or `/vosk` in which nothing comes for so long is ended. Silence is sound, too.",
    ),
    Setting::new(
        "live.ping",
        "20s",
        &To::<Config, _>(&DURATION, |c, v| c.http.realtime.ping = v),
        "How often a client of `/v1/realtime` or `/vosk` is pinged. It has as long to answer, and to take what it is sent; who does \
         not is cut off. Below the minute after which proxies close what is silent.",
    ),
    Setting::new(
        "wyoming.port",
        "none",
        &Maybe::<Config, _>("none", &PORT, |c, v| c.wyoming.port = v),
        "Port of the Wyoming protocol, for Home Assistant; 0 picks a free one, which the log names. It listens where \
         `server.host` says. The protocol has no keys: whoever reaches the port may use the models, so that there is none \
         by default. Wyoming's own servers use 10300.",
    ),
    Setting::new(
        "wyoming.max_connections",
        "64",
        &To::<Config, _>(&COUNT, |c, v| c.wyoming.max_connections = v),
        "Connections of the Wyoming protocol at once; more wait to be accepted.",
    ),
    Setting::new(
        "wyoming.max_header",
        "64KB",
        &To::<Config, _>(&BYTES, |c, v| c.wyoming.max_header = v),
        "Bytes of the line of an event of the Wyoming protocol, and of the JSON after it. A text that is to be spoken stands \
         there.",
    ),
    Setting::new(
        "wyoming.max_payload",
        "1MiB",
        &To::<Config, _>(&BYTES, |c, v| c.wyoming.max_payload = v),
        "Bytes of sound in an event of the Wyoming protocol. Clients send a tenth of a second or so, which is 3 kB.",
    ),
    Setting::new(
        "wyoming.max_audio",
        "1m",
        &To::<Config, _>(&DURATION, |c, v| c.wyoming.max_audio = v),
        "Sound that a client of the Wyoming protocol has transcribed in one go; more is refused. Commands are shorter by far.",
    ),
    Setting::new(
        "wyoming.idle",
        "5m",
        &To::<Config, _>(&DURATION, |c, v| c.wyoming.idle = v),
        "A connection of the Wyoming protocol on which nothing comes for so long is closed, and one whose client takes \
         nothing for so long.",
    ),
    Setting::new(
        "jobs.dir",
        "none",
        &Maybe::<Config, _>("none", &PATH, |c, v| c.jobs.dir = v),
        "Folder in which jobs are written down, so that they survive a restart. One process at a time. By default they \
         are kept in memory and end with the process.",
    ),
    Setting::new(
        "jobs.at_once",
        "1",
        &To::<Config, _>(&COUNT, |c, v| c.jobs.at_once = v),
        "Jobs that are worked on at once. One leaves the rest of a model's batch to requests that somebody waits for.",
    ),
    Setting::new(
        "jobs.time_limit",
        "6h",
        &To::<Config, _>(&DURATION, |c, v| c.jobs.time_limit = v),
        "How long a job may take, once its model is there, in place of `limits.request_timeout`. Six hours hold the \
         longest recording on a slow machine.",
    ),
    Setting::new(
        "jobs.keep",
        "24h",
        &To::<Config, _>(&DURATION, |c, v| c.jobs.keep = v),
        "How long the result of a finished job is kept. A day lets who was away over night fetch it.",
    ),
    Setting::new(
        "jobs.max_count",
        "1000",
        &To::<Config, _>(&COUNT, |c, v| c.jobs.max_count = v),
        "Jobs that are held at once. Finished ones make room, those that ended first before the others; if there are \
         none, a new job is answered with 429.",
    ),
    Setting::new(
        "jobs.max_bytes",
        "1GB",
        &To::<Config, _>(&SIZE, |c, v| c.jobs.max_bytes = v),
        "Recordings and results that are held at once, in memory or in `jobs.dir`, where they take up to twice as much. \
         The same holds as for `jobs.max_count`. The default holds ten of the largest bodies.",
    ),
    Setting::new(
        "jobs.max_checkpoint",
        "16MB",
        &To::<Config, _>(&SIZE, |c, v| c.jobs.max_checkpoint = v),
        "What a model may have written down of a job while it runs, so that the job goes on from there after a restart: \
         the newest of each, for `jobs.at_once` jobs. Larger ones are not kept, and such a job begins anew. The default \
         holds a song of hours.",
    ),
    Setting::new(
        "jobs.attempts",
        "3",
        &To::<Config, _>(&WHOLE, |c, v| c.jobs.attempts = v),
        "Times that a job is begun when the process or the model fails meanwhile. Two failures may be chance; a job \
         that meets a third is likely their cause. Where a model has written down that it came further, they are counted \
         anew.",
    ),
    Setting::new(
        "jobs.webhook_secret",
        "none",
        &Maybe::<Config, _>("none", &TEXT, |c, v| c.jobs.webhook_secret = v.map(Secret)),
        "Key that webhooks are signed with; without it, jobs with a webhook are refused. They are sent to hosts in \
         `remote.web.allow_hosts`. Never shown.",
    )
    .secret(),
    Setting::new(
        "metrics.vllm",
        "false",
        &To::<Config, _>(&FLAG, |c, v| c.runtime.vllm_metric = v),
        "Whether `/metrics` has `vllm:num_requests_waiting` as well, the sum of `sconce_queue_depth`, for autoscalers that \
         know only that name. Its colon is against Prometheus' own rules. Where `AIP_MODE` is set the default is `true`: \
         Vertex AI can scale by it.",
    )
    .hints(&[Plain { name: "AIP_MODE", read: |_| Some("true".to_owned()) }]),
    Setting::new(
        "log.level",
        "info",
        &To::<Config, _>(&LOG_LEVEL, |c, v| c.telemetry.log_level = v),
        "A level, or a filter by module: `info`, `sconce=debug,actix_server=warn`.",
    )
    .plain(&[Plain::same("LOG_LEVEL"), Plain::same("RUST_LOG")])
    .flag("log-level", "LEVEL").live(),
    Setting::new(
        "log.format",
        "auto",
        &To::<Config, _>(&LOG_FORMAT, |c, v| c.telemetry.log_format = v),
        "`pretty`, for people, or `json`, one object per line. `auto`: pretty on a terminal, JSON otherwise.",
    )
    .flag("log-format", "FORMAT"),
    Setting::new(
        "telemetry.otlp_endpoint",
        "none",
        &Maybe::<Config, _>("none", &URL, |c, v| c.telemetry.traces.endpoint = v),
        "Base address of an OpenTelemetry collector; traces go to `/v1/traces` below it, as OTLP over HTTP with \
         protobuf, 4318 being the usual port. By default there are no traces, and they cost nothing.",
    )
    .plain(&[Plain::same("OTEL_EXPORTER_OTLP_ENDPOINT")]),
    Setting::new(
        "telemetry.service_name",
        "sconce",
        &To::<Config, _>(&NAME, |c, v| c.telemetry.traces.service_name = v),
        "What this server is called in traces.",
    )
    .plain(&[Plain::same("OTEL_SERVICE_NAME")]),
    Setting::new(
        "telemetry.sample",
        "1",
        &To::<Config, _>(&SHARE, |c, v| c.telemetry.traces.sample = v),
        "Share of the requests that are traced, 0 to 1. A caller who sends `traceparent` has decided for its request.",
    )
    .plain(&[Plain::same("OTEL_TRACES_SAMPLER_ARG")]),
];

/// A configuration whose every value waits to be overwritten by the table's default; a test holds the table to that.
pub(super) fn blank() -> Config {
    Config {
        server: ServerConfig {
            bind: Some(IpAddr::from([255; 4])),
            port: 0,
            workers: usize::MAX,
            grace: Duration::MAX,
            drain: Duration::MAX,
            reload: Duration::MAX,
            certificate: Some(PathBuf::new()),
            private_key: Some(PathBuf::new()),
            max_connections: usize::MAX,
            keep_alive: Duration::MAX,
            head_timeout: Duration::MAX,
            disconnect_timeout: Duration::MAX,
        },
        remote: remote::Config {
            buckets: BucketsConfig {
                s3: S3Config {
                    endpoint: Some("".into()),
                    region: String::new(),
                    access_key_id: Some(String::new()),
                    secret_access_key: Some(Secret(String::new())),
                    session_token: Some(Secret(String::new())),
                    anonymous: true,
                    identity: BTreeMap::new(),
                },
                gcs: GcsConfig { endpoint: Some("".into()), credentials: Some(String::new()), anonymous: true },
            },
            web: WebConfig { allow_hosts: vec![String::new()], allow_http: true, allow_private: true },
            allow_buckets: vec![String::new()],
        },
        store: store::Config {
            cache_dir: PathBuf::new(),
            accepted_licences: vec![String::new()],
            read_only: vec![PathBuf::new()],
            other_caches: vec![PathBuf::new()],
            own_caches: BTreeMap::new(),
            quota: Some(u64::MAX),
            endpoints: Vec::new(),
            token: None,
            offline: true,
            idle_timeout: Duration::MAX,
            min_rate: u64::MAX,
            attempts: u32::MAX,
            connections: usize::MAX,
            xet: true,
            xet_cache: u64::MAX,
            reserve: u64::MAX,
            keep_derived: false,
            verify: store::Verify::Load,
        },
        budget: BudgetChoice::Auto,
        warm: Some(u64::MAX),
        catalog: catalog::Config { default: Some(String::new()), ..Default::default() },
        runtime: runtime::Config {
            queue: usize::MAX,
            max_batch: usize::MAX,
            max_failures: usize::MAX,
            threads: Some(usize::MAX),
            device: DeviceChoice::Only(DeviceId::Metal),
            require_gpu: true,
            dtype: DTypeChoice::Bf16,
            cpu_kernels: CpuKernels::Candle,
            weights: Some(Backing::Copied),
            reserve: u64::MAX,
            leak_threshold: u64::MAX,
            references: ReferenceCacheConfig { memory: u64::MAX, folder: None, disk: u64::MAX },
            programs: Programs {
                workers: WorkerRules {
                    guard: blank_guard(),
                    memory: u64::MAX,
                    hello_timeout: Duration::MAX,
                    load_timeout: Duration::MAX,
                    piece_timeout: Duration::MAX,
                    cancel_timeout: Duration::MAX,
                    environment: BTreeMap::new(),
                },
                ..Programs::default() // the path is that of the environment
            },
            vllm_metric: true,
        },
        lifecycle: lifecycle::Config {
            mode: LoadMode::Startup,
            max_resident: Some(usize::MAX),
            memory_budget: lifecycle::Budget::default(), // of `budget`, by `app`
            memory_warm: 0,                              // of `warm`, by `app`
            idle_ttl: Some(Duration::MAX),
            room_patience: Duration::MAX,
            max_waiters: usize::MAX,
            retry_base: Duration::MAX,
            retry_max: Duration::MAX,
            on_preload_failure: OnPreloadFailure::Exit,
        },
        service: service::Config {
            wait: Duration::MAX,
            request_timeout: Duration::MAX,
            max_audio: Duration::MAX,
            max_text: usize::MAX,
            max_decoded: usize::MAX,
            ffmpeg: crate::model::ProgramChoice::Off,
            ffmpeg_time_limit: Duration::MAX,
            ffmpeg_guard: blank_guard(),
            time_origin: service::TimeOrigin::Sound,
            output: FlowLimits { bytes: usize::MAX, sound: Duration::MAX },
            input: FlowLimits { bytes: usize::MAX, sound: Duration::MAX },
            lexicon: Some(service::LexiconFile::default()),
            normalize_loudness: true,
            listening: crate::listening::Config::default(),
            voices: Some(PathBuf::new()),
            transcriber: Some(String::new()),
            voice_memory: 0,
            live: service::live::LiveConfig {
                max_sessions: usize::MAX,
                max_sessions_per_key: Some(usize::MAX),
                max_session: Duration::MAX,
                max_item: Duration::MAX,
                partials: Some(Duration::MAX),
                max_partials: usize::MAX,
                max_rate: usize::MAX,
                ahead: Duration::MAX,
            },
        },
        jobs: jobs::Config {
            dir: Some(PathBuf::new()),
            at_once: usize::MAX,
            time_limit: Duration::MAX,
            keep: Duration::MAX,
            max_count: usize::MAX,
            max_bytes: u64::MAX,
            max_checkpoint: u64::MAX,
            attempts: u32::MAX,
            webhook_secret: Some(Secret(String::new())),
        },
        http: http::Config {
            server_name: Some(String::new()),
            body_limit: usize::MAX,
            bodies_limit: usize::MAX,
            max_instances: usize::MAX,
            max_fields: usize::MAX,
            body_timeout: Duration::MAX,
            health_route: Some(String::new()),
            predict_route: Some(String::new()),
            admin: false,
            stall_timeout: Duration::MAX,
            access: http::access::Config {
                keys: http::access::Digest::parse("-").into_iter().collect(),
                admin_keys: http::access::Digest::parse("-").into_iter().collect(),
                file: Some(PathBuf::new()),
                open_metrics: true,
                limits: http::access::Limits {
                    requests_per_minute: Some(NonZeroU32::MAX),
                    audio_seconds_per_minute: Some(NonZeroU32::MAX),
                    characters_per_minute: Some(NonZeroU32::MAX),
                    concurrency: Some(NonZeroU32::MAX),
                },
                concurrency: Some(usize::MAX),
            },
            console: false,
            realtime: http::RealtimeConfig { max_message: usize::MAX, idle: Duration::MAX, ping: Duration::MAX },
            cors_origins: vec![String::new()],
            unknown_fields: http::UnknownFields::Warn,
        },
        wyoming: wyoming::Config {
            port: Some(0),
            max_connections: usize::MAX,
            max_header: usize::MAX,
            max_payload: usize::MAX,
            max_audio: Duration::MAX,
            idle: Duration::MAX,
        },
        telemetry: telemetry::Config {
            log_level: String::new(),
            log_format: LogFormat::Pretty,
            traces: telemetry::TracesConfig { endpoint: Some("".into()), service_name: String::new(), sample: -1.0 },
        },
    }
}

fn blank_guard() -> GuardRules {
    GuardRules { program: ProgramChoice::Off, isolation: Isolation::Off, user: Some((0, 0)) }
}

/// Of models that are programs, and of ffmpeg.
fn each_guard(config: &mut Config, set: impl Fn(&mut GuardRules)) {
    set(&mut config.runtime.programs.workers.guard);
    set(&mut config.service.ffmpeg_guard);
}

fn under(folder: &str, rest: &str) -> Option<String> {
    Some(format!("{}/{rest}", folder.trim_end_matches('/')))
}

/// Emulators are named without a scheme as often as with one.
fn with_scheme(host: &str) -> Option<String> {
    Some(if host.contains("://") { host.to_owned() } else { format!("http://{host}") })
}
