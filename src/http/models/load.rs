//! Loading a model and unloading it by hand.

use std::time::Duration;

use crate::{
    http::{api::Api, problem::Problem},
    lifecycle::{AcquireOptions, ModelStatus, Target, Unavailable},
    speech::{Kind, ModelName},
};

/// What became of a model that was to go.
pub(in crate::http) enum Unloaded {
    /// Its memory is free.
    Gone,
    /// It takes no new requests, and goes when those it has are answered.
    Draining,
}

/// Brings a model onto the disk or into memory, whatever failed before, and answers with its state when it is there,
/// when it has failed, or when `wait` is over.
pub(in crate::http) async fn prepare(
    api: &Api,
    name: &ModelName,
    target: Target,
    wait: Duration,
) -> Result<ModelStatus, Unavailable> {
    let outcomes = api.service.lifecycle().prepare(std::slice::from_ref(name), target, Some(wait)).await;
    let outcome = outcomes.into_iter().next().map(|(_, outcome)| outcome);
    outcome.unwrap_or_else(|| Err(Unavailable::NotServed { model: name.clone() }))
}

/// Sends a model away and waits for that; what it works on is finished first, and it goes on going when `wait` is over.
pub(in crate::http) async fn unload(api: &Api, name: &ModelName, wait: Duration) -> Result<Unloaded, Unavailable> {
    match tokio::time::timeout(wait, api.service.lifecycle().unload(name)).await {
        Ok(outcome) => outcome.map(|()| Unloaded::Gone),
        Err(_) => Ok(Unloaded::Draining),
    }
}

/// Brings a model into memory, or says exactly why it is not there.
pub(in crate::http) async fn ensure_loaded(api: &Api, name: &ModelName, wait: Duration) -> Result<(), Problem> {
    prepare(api, name, Target::Ready, wait).await?;
    api.service.lifecycle().acquire(name, AcquireOptions::within(Duration::ZERO)).await?;
    Ok(())
}

/// Sends a model away, or says that it still works.
pub(in crate::http) async fn ensure_unloaded(api: &Api, name: &ModelName, wait: Duration) -> Result<(), Problem> {
    match unload(api, name, wait).await? {
        Unloaded::Gone => Ok(()),
        Unloaded::Draining => {
            let works =
                format!("the model {name} still works; it takes no new requests and goes when those it has are over");
            Err(Problem::new(Kind::Unavailable, works).passing())
        }
    }
}
