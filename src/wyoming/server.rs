//! The port, from its opening to the last connection.

use std::sync::Arc;

use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Duration, sleep},
};
use tracing::warn;

use super::{
    config::Config,
    connection::{Connection, told},
};
use crate::service::Service;

/// After a connection that could not be accepted, since the next one will not be either for a while.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stopping` says so, and what was begun then to its end. Dropping it ends all connections.
pub async fn serve(config: Config, listener: TcpListener, service: Service, mut stopping: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(config.max_connections));
    let mut connections = JoinSet::new();
    loop {
        // More wait to be accepted.
        let Ok(place) = places.clone().acquire_owned().await else { break };
        let stream = tokio::select! {
            biased;
            () = told(&mut stopping) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "a connection could not be accepted");
                    sleep(PAUSE).await;
                    continue;
                }
            },
        };
        // Answers are small, and somebody waits for each.
        let _ = stream.set_nodelay(true);
        let connection = Connection::new(stream, service.clone(), config.clone(), stopping.clone());
        connections.spawn(async move {
            connection.run().await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}
