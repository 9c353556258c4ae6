//! Every part, leaves first.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use prometheus::Registry;
use tokio::task::JoinHandle;

use super::{Config, metrics::Reloads, models};
use crate::{
    catalog::{Catalog, CatalogError, Entry},
    http::{
        self,
        access::{Gate, Keyring, KeyringError},
    },
    jobs::{Jobs, JobsError},
    lifecycle::{self, Lifecycle, LoadMode},
    listening::{Listeners, NetworkFault},
    model::CpuKernels,
    nn,
    remote::{Remote, RemoteError},
    runtime::{self, Host, Installed, PlacementError, Placer, Scale},
    service::{MemoryBudget, Service},
    store::{self, Source, Store, StoreError},
    telemetry,
};

/// The parts of a server, wired, without a socket; the command line uses them as well.
pub struct App {
    pub(super) config: Config,
    registry: Registry,
    remote: Remote,
    pub(super) placer: Arc<Placer>,
    pub(super) executors: runtime::Metrics,
    store: Store,
    pub(super) lifecycle: Lifecycle,
    driver: JoinHandle<()>,
    pub(super) service: Service,
    pub(super) reloads: Reloads,
    keyring: Keyring,
}

/// Why the parts do not fit together.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("the models are not well configured:\n{}", list(.0))]
    Catalog(Vec<CatalogError>),
    /// More likely a file that was emptied, or not written yet, than somebody who wants to serve nothing.
    #[error(
        "it names no model any more, and the one before named {before}; name at least one under [models], or restart the \
         server to serve none of them"
    )]
    NoModels { before: usize },
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Placement(#[from] PlacementError),
    #[error(transparent)]
    Keys(#[from] KeyringError),
    #[error(transparent)]
    Network(#[from] NetworkFault),
    #[error("a metric could not be registered: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// The same in the words of those who compute.
pub(super) fn kernels(choice: CpuKernels) -> nn::CpuKernels {
    match choice {
        CpuKernels::Auto => nn::CpuKernels::Auto,
        CpuKernels::Avx512 => nn::CpuKernels::Avx512,
        CpuKernels::Avx2 => nn::CpuKernels::Avx2,
        CpuKernels::Portable => nn::CpuKernels::Portable,
        CpuKernels::Candle => nn::CpuKernels::Candle,
    }
}

fn list(errors: &[CatalogError]) -> String {
    errors.iter().map(|error| format!("  {error}")).collect::<Vec<_>>().join("\n")
}

// === impl App ===

impl App {
    /// Must be called within a tokio runtime, on which the lifecycle then lives. Loads nothing by itself.
    pub fn build(config: Config) -> Result<Self, BuildError> {
        let registry = telemetry::registry()?;
        kernels(config.runtime.cpu_kernels).choose();
        let devices = Arc::new(Installed::new(Host::here()));
        let (placer, scale) = (Arc::new(Placer::new(&config.runtime, devices.clone())?), Scale::new(devices));
        let catalog = Arc::new(models::catalog(&config, &placer).map_err(BuildError::Catalog)?);
        let remote = Remote::new(config.remote.clone())?;
        let own_caches = own_caches(&catalog);
        let store = Store::new(
            store::Config { own_caches, ..config.store.clone() },
            remote.buckets().clone(),
            store::EMBEDDED,
            &registry,
        )?;
        let executors = runtime::Metrics::register(&registry, &config.runtime)?;
        placer.references().register(&registry)?;
        let backend =
            lifecycle::Local::new(store.clone(), config.runtime.clone(), executors.clone(), placer.clone(), scale);
        let metrics = lifecycle::Metrics::register(&registry)?;
        let (specs, rules) = (models::specs(&catalog), models::rules(&config, &placer));
        executors.expect(catalog.listed().map(|entry| &entry.name));
        let (lifecycle, driver) = Lifecycle::start(rules, specs, backend, metrics);
        let listeners =
            Listeners::open(&config.service.listening, config.runtime.threads.unwrap_or_else(Host::processors))?;
        let service = Service::new(config.service.clone(), catalog, lifecycle.clone(), listeners, &registry)?;
        let keyring = Keyring::open(config.http.access.clone(), &registry)?;
        let reloads = Reloads::register(&registry)?;
        Ok(Self { config, registry, remote, placer, executors, store, lifecycle, driver, service, reloads, keyring })
    }

    pub fn catalog(&self) -> Arc<Catalog> {
        self.service.catalog()
    }

    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Every metric of every part.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    pub fn load_mode(&self) -> LoadMode {
        self.config.lifecycle.mode
    }

    /// Begins with what earlier processes left. Only a server does so: two at once cannot have the same `jobs.dir`.
    pub(super) fn jobs(&self) -> Result<Jobs, JobsError> {
        let worker = http::JobWorker::new(&self.service, &self.remote, self.config.jobs.time_limit);
        Jobs::start(self.config.jobs.clone(), Arc::new(worker), self.remote.clone(), &self.registry)
    }

    pub(super) fn api(&self, jobs: Jobs) -> http::Api {
        http::Api {
            service: self.service.clone(),
            remote: self.remote.clone(),
            jobs,
            registry: self.registry.clone(),
            name: self.name(),
            config: self.config.http.clone(),
            draining: http::Draining::default(),
            bodies: MemoryBudget::new(self.config.http.bodies_limit, "bodies", "limits.max_bodies"),
            parsers: http::Parsers::new(),
            gate: Gate::new(self.keyring.clone(), &self.config.http),
        }
    }

    fn name(&self) -> String {
        let named = self.config.http.server_name.clone();
        named.or_else(|| Host::here().name()).unwrap_or_else(|| "sconce".to_owned())
    }

    pub(super) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Resolves, with the reason, if the configuration wants the process to end because a model failed at start.
    pub async fn fatal(&self) -> String {
        self.lifecycle.fatal().await
    }

    /// Unloads everything and waits for it.
    pub async fn stop(self) {
        self.lifecycle.shutdown().await;
        // A driver that panicked has nothing left to unload.
        let _ = self.driver.await;
    }
}

/// The sources of models that have a cache of their own.
fn own_caches(catalog: &Catalog) -> BTreeMap<Source, PathBuf> {
    let of = |entry: &Entry| {
        let sources = entry.parts.iter().map(|(_, source)| source.clone());
        entry.cache_dir.clone().map(|dir| sources.map(|source| (source, dir.clone())).collect::<Vec<_>>())
    };
    catalog.entries().filter_map(of).flatten().collect()
}
