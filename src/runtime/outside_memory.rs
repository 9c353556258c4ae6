//! What processes that are models hold, looked up when somebody reads the metrics.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use prometheus::{
    IntGaugeVec, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use crate::{model::Outside, speech::ModelName};

/// The gauge of all of them.
#[derive(Clone, Debug)]
pub(super) struct OutsideMemory {
    gauge: IntGaugeVec,
    // Held for a look or an insertion; as many as there are models.
    of: Arc<Mutex<BTreeMap<String, Weak<Outside>>>>,
}

// === impl OutsideMemory ===

impl OutsideMemory {
    pub fn new() -> Result<Self, prometheus::Error> {
        let help = "Memory that the process of a model holds, with all that it began, in bytes.";
        let gauge = IntGaugeVec::new(Opts::new("sconce_worker_memory_bytes", help), &["model"])?;
        Ok(Self { gauge, of: Arc::default() })
    }

    /// As long as somebody else holds it.
    pub fn watch(&self, name: &ModelName, outside: &Arc<Outside>) {
        self.of.lock().insert(name.to_string(), Arc::downgrade(outside));
    }
}

impl Collector for OutsideMemory {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.gauge.reset();
        self.of.lock().retain(|name, outside| {
            let held = outside.upgrade().map(|outside| outside.memory());
            if let Some(bytes) = held {
                self.gauge.with_label_values(&[name.as_str()]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
            }
            held.is_some()
        });
        self.gauge.collect()
    }
}
