//! Every part, leaves first.

use std::sync::Arc;

use prometheus::Registry;
use tokio::task::JoinHandle;

use super::Config;
use crate::{
    catalog::{Catalog, CatalogError, Entry},
    families::FAMILIES,
    http,
    lifecycle::{self, FamilyChoice, Lifecycle, LoadMode, ModelSpec},
    model::Availability,
    runtime::{self, PlacementError},
    service::Service,
    store::{self, Store, StoreError},
    telemetry,
};

/// The parts of a server, wired, without a socket; the command line uses them as well.
pub struct App {
    config: Config,
    registry: Registry,
    catalog: Arc<Catalog>,
    store: Store,
    lifecycle: Lifecycle,
    driver: JoinHandle<()>,
    service: Service,
}

/// Why the parts do not fit together.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("the models are not well configured:\n{}", list(.0))]
    Catalog(Vec<CatalogError>),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Placement(#[from] PlacementError),
    #[error("a metric could not be registered: {0}")]
    Metrics(#[from] prometheus::Error),
}

fn list(errors: &[CatalogError]) -> String {
    errors.iter().map(|error| format!("  {error}")).collect::<Vec<_>>().join("\n")
}

// === impl App ===

impl App {
    /// Must be called within a tokio runtime, on which the lifecycle then lives. Loads nothing by itself.
    pub fn build(config: Config) -> Result<Self, BuildError> {
        let registry = telemetry::registry()?;
        let catalog = Arc::new(Catalog::new(FAMILIES, &config.catalog).map_err(BuildError::Catalog)?);
        let store = Store::new(config.store.clone(), store::EMBEDDED, &registry)?;
        let specs = catalog.entries().filter(|entry| entry.availability == Availability::Available).map(spec).collect();
        let (place, executors) = (runtime::place(&config.runtime)?, runtime::Metrics::register(&registry)?);
        let backend = lifecycle::Local::new(store.clone(), config.runtime.clone(), executors, place);
        let metrics = lifecycle::Metrics::register(&registry)?;
        let (lifecycle, driver) = Lifecycle::start(config.lifecycle.clone(), specs, backend, metrics);
        let service = Service::new(config.service.clone(), catalog.clone(), lifecycle.clone(), &registry)?;
        Ok(Self { config, registry, catalog, store, lifecycle, driver, service })
    }

    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    pub fn service(&self) -> &Service {
        &self.service
    }

    pub fn load_mode(&self) -> LoadMode {
        self.config.lifecycle.mode
    }

    pub(super) fn api(&self) -> http::Api {
        http::Api {
            service: self.service.clone(),
            registry: self.registry.clone(),
            config: self.config.http.clone(),
            draining: http::Draining::default(),
        }
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

fn spec(entry: &Entry) -> ModelSpec {
    ModelSpec {
        name: entry.name.clone(),
        families: entry.family.map_or(FamilyChoice::Among(FAMILIES), FamilyChoice::Known),
        parts: entry.parts.clone(),
        preload: entry.preload,
        pinned: entry.pinned,
        idle_ttl: entry.idle_ttl,
    }
}
