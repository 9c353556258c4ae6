//! The table of settings: their names, defaults and meaning. It is the one place that knows them.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use super::{
    kinds::{ADDRESS, BYTES, DEVICE, DTYPE, LOAD_MODE, LOG_FORMAT, LOG_LEVEL, ON_PRELOAD_FAILURE, PATH, PATHS, WHOLE},
    models,
    setting::{Maybe, Plain, Setting, To},
    value::{COUNT, DURATION, FLAG, NAME, PORT, ROUTE, SIZE, TEXT, URL},
};
use crate::{
    app::{Config, ServerConfig},
    catalog, http,
    lifecycle::{self, LoadMode, OnPreloadFailure},
    runtime::{self, DTypeChoice, DeviceChoice},
    service,
    store::{self, Secret},
    telemetry::{self, LogFormat},
};

/// Every setting that is not of one model, in the order of the documentation.
pub(super) static SETTINGS: &[Setting<Config>] = &[
    Setting::new(
        "load_mode",
        "on_demand",
        &To::<Config, _>(&LOAD_MODE, |c, v| c.lifecycle.mode = v),
        "When models are loaded. `startup`: before the server counts as healthy. `on_demand`: at the first request for \
         each, or by `POST /download-models`. `background`: right after the start, healthy meanwhile.",
    )
    .plain(&[Plain::same("LOAD_MODE")])
    .flag("load-mode", "MODE"),
    Setting::new(
        "default_model",
        "embedded",
        &Maybe::<Config, _>("embedded", &NAME, |c, v| c.catalog.default = v),
        "The model of a request that names none; `embedded` is the one inside the program. `MODEL_ID` and `--model` \
         may name several models: the first is the default one.",
    )
    .plain(&[Plain { name: "MODEL_ID", read: models::first }])
    .flag("model", "NAME"),
    Setting::new(
        "on_preload_failure",
        "retry",
        &To::<Config, _>(&ON_PRELOAD_FAILURE, |c, v| c.lifecycle.on_preload_failure = v),
        "What becomes of a start whose models cannot be loaded. `retry`: stay up and unhealthy, with the reason, and \
         try again, because a hub that is down comes back. `exit`: end the process. `lazy`: count as healthy; the \
         first request tries again.",
    ),
    Setting::new(
        "server.host",
        "0.0.0.0",
        &To::<Config, _>(&ADDRESS, |c, v| c.server.bind = v),
        "Address to listen on. The default listens on all of them, as a container must; `127.0.0.1` keeps a laptop's \
         server to itself. The variable `HOST` is not read: shells set it to the name of the machine.",
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
        "store.endpoint",
        "https://huggingface.co",
        &To::<Config, _>(&URL, |c, v| c.store.endpoint = v),
        "Base address of the hub, or of a mirror of it.",
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
        "store.attempts",
        "5",
        &To::<Config, _>(&WHOLE, |c, v| c.store.attempts = v),
        "Tries per file, the first included. Each goes on where the last one ended, so five get a large file through a \
         poor link.",
    ),
    Setting::new(
        "retry.first_delay",
        "1s",
        &To::<Config, _>(&DURATION, |c, v| c.lifecycle.retry_base = v),
        "After a model could not be had: the first pause before another try. It doubles with each further failure. One \
         second passes over a blip.",
    ),
    Setting::new(
        "retry.max_delay",
        "1m",
        &To::<Config, _>(&DURATION, |c, v| c.lifecycle.retry_max = v),
        "The longest such pause. A minute does not press a hub that is down, and finds it soon after it is back.",
    ),
    Setting::new(
        "runtime.device",
        "auto",
        &To::<Config, _>(&DEVICE, |c, v| c.runtime.device = v),
        "Where models live: `cpu`, `cuda`, `cuda:1`, `metal`. `auto` is the first accelerator of this build that works, \
         else the CPU.",
    )
    .flag("device", "DEVICE"),
    Setting::new(
        "runtime.dtype",
        "auto",
        &To::<Config, _>(&DTYPE, |c, v| c.runtime.dtype = v),
        "Type of weights and activations: `f32`, `f16`, `bf16`. `auto` is f32 on a CPU, which computes in it \
         natively, and f16 on an accelerator.",
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
        "memory.max_resident",
        "none",
        &Maybe::<Config, _>("none", &COUNT, |c, v| c.lifecycle.max_resident = v),
        "Models in memory at once, at most. With 1, a request for another model unloads the one and loads the other. \
         By default only the budget bounds them.",
    )
    .flag("max-resident", "COUNT"),
    Setting::new(
        "memory.budget",
        "none",
        &Maybe::<Config, _>("none", &SIZE, |c, v| c.lifecycle.memory_budget = v),
        "Memory that models may take together; idle ones make room for others. By default there is no bound, because \
         only who runs the machine knows what else it holds.",
    ),
    Setting::new(
        "memory.idle_ttl",
        "none",
        &Maybe::<Config, _>("none", &DURATION, |c, v| c.lifecycle.idle_ttl = v),
        "Unload a model after so long without a request. By default it stays, because loading it again costs a caller \
         seconds.",
    ),
    Setting::new(
        "memory.room_patience",
        "10s",
        &To::<Config, _>(&DURATION, |c, v| c.lifecycle.room_patience = v),
        "A request waits so long for a busy model to become idle and make room; then the busy one takes no new \
         requests. Ten seconds let two models share the memory without swapping at every request.",
    ),
    Setting::new(
        "limits.wait",
        "50s",
        &To::<Config, _>(&DURATION, |c, v| c.service.wait = v),
        "How long a request waits for its model to load, unless it says otherwise; then it is answered with 503 and \
         `Retry-After`. Ten seconds under the 60 s after which a shared Vertex endpoint gives up without a reason.",
    ),
    Setting::new(
        "limits.request_timeout",
        "10m",
        &To::<Config, _>(&DURATION, |c, v| c.service.request_timeout = v),
        "How long a request may take in all, once its model is there. Ten minutes is the default of a dedicated Vertex \
         endpoint and of the official OpenAI client.",
    ),
    Setting::new(
        "limits.max_audio",
        "2h",
        &To::<Config, _>(&DURATION, |c, v| c.service.max_audio = v),
        "Longest recording that is taken. Two hours hold a lecture or a meeting and decode to 460 MB of samples.",
    ),
    Setting::new(
        "limits.max_body",
        "100MB",
        &To::<Config, _>(&BYTES, |c, v| c.http.body_limit = v),
        "Largest request body. OpenAI's 25 MB end after 13 minutes of 16-bit mono WAV at 16 kHz, too early for \
         a meeting; 100 MB hold 52.",
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
        "log.level",
        "info",
        &To::<Config, _>(&LOG_LEVEL, |c, v| c.telemetry.log_level = v),
        "A level, or a filter by module: `info`, `sconce=debug,actix_server=warn`.",
    )
    .plain(&[Plain::same("LOG_LEVEL"), Plain::same("RUST_LOG")])
    .flag("log-level", "LEVEL"),
    Setting::new(
        "log.format",
        "auto",
        &To::<Config, _>(&LOG_FORMAT, |c, v| c.telemetry.log_format = v),
        "`pretty`, for people, or `json`, one object per line. `auto`: pretty on a terminal, JSON otherwise.",
    )
    .flag("log-format", "FORMAT"),
];

/// A configuration whose every value waits to be overwritten by the table's default; a test holds the table to that.
pub(super) fn blank() -> Config {
    Config {
        server: ServerConfig {
            bind: IpAddr::from([255; 4]),
            port: 0,
            workers: usize::MAX,
            grace: Duration::MAX,
            drain: Duration::MAX,
        },
        store: store::Config {
            cache_dir: PathBuf::new(),
            read_only: vec![PathBuf::new()],
            endpoint: String::new(),
            token: None,
            offline: true,
            idle_timeout: Duration::MAX,
            attempts: u32::MAX,
        },
        catalog: catalog::Config { models: Vec::new(), default: Some(String::new()) },
        runtime: runtime::Config {
            queue: usize::MAX,
            max_batch: usize::MAX,
            threads: Some(usize::MAX),
            device: DeviceChoice::Metal,
            dtype: DTypeChoice::Bf16,
        },
        lifecycle: lifecycle::Config {
            mode: LoadMode::Startup,
            max_resident: Some(usize::MAX),
            memory_budget: Some(u64::MAX),
            idle_ttl: Some(Duration::MAX),
            room_patience: Duration::MAX,
            retry_base: Duration::MAX,
            retry_max: Duration::MAX,
            on_preload_failure: OnPreloadFailure::Exit,
        },
        service: service::Config { wait: Duration::MAX, request_timeout: Duration::MAX, max_audio: Duration::MAX },
        http: http::Config {
            body_limit: usize::MAX,
            health_route: Some(String::new()),
            predict_route: Some(String::new()),
            admin: false,
            stall_timeout: Duration::MAX,
        },
        telemetry: telemetry::Config { log_level: String::new(), log_format: LogFormat::Pretty },
    }
}

fn under(folder: &str, rest: &str) -> Option<String> {
    Some(format!("{}/{rest}", folder.trim_end_matches('/')))
}
