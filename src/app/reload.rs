//! Another configuration while the server runs: it is taken whole, or not at all.

use std::sync::Arc;

use tracing::{error, info};

use super::{App, BuildError, Config, models};
use crate::telemetry;

// === impl App ===

impl App {
    /// Applies what can be applied without a restart. An error, of the configuration or of what it means, changes
    /// nothing.
    pub(super) async fn reload(&self, config: Result<Config, String>) {
        let outcome = match config {
            Ok(config) => self.reconfigure(config).await.map_err(|error| error.to_string()),
            Err(faults) => Err(faults),
        };
        match outcome {
            Ok(()) => {
                self.reloads.0.with_label_values(&["applied"]).inc();
                info!(default = %self.catalog().default().name, "the configuration was read anew and applies");
            }
            Err(reason) => {
                self.reloads.0.with_label_values(&["refused"]).inc();
                error!(reason, "the configuration was read anew and is not right; nothing changes");
            }
        }
    }

    /// The lifecycle comes first: a request by a new name must find its model there.
    async fn reconfigure(&self, config: Config) -> Result<(), BuildError> {
        let catalog = Arc::new(models::catalog(&config, &self.placer).map_err(BuildError::Catalog)?);
        // The default model is listed even where nobody named it.
        let before = self.catalog().listed().count();
        if config.catalog.models.is_empty() && (before > 1 || !self.config.catalog.models.is_empty()) {
            return Err(BuildError::NoModels { before });
        }
        let rules = models::rules(&config, &self.placer);
        telemetry::set_level(&config.telemetry.log_level);
        self.executors.expect(catalog.listed().map(|entry| &entry.name));
        self.lifecycle.reconfigure(rules, models::specs(&catalog)).await;
        self.service.reconfigure(config.service, catalog);
        Ok(())
    }
}
