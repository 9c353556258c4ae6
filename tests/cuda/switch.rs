//! What becomes of a model that goes for another.

use std::{fs, time::Duration};

use crate::{
    page::Count,
    server::{HOPPER, Setup},
};

#[tokio::test]
async fn a_model_that_went_for_another_comes_back_over_the_bus_alone() {
    let setup = Setup::new(&[HOPPER]).and("n").env("SCONCE_MEMORY__MAX_RESIDENT", "1");
    let setup = setup.env("SCONCE_MODELS__M__WARM_UP", "false").env("SCONCE_MODELS__N__WARM_UP", "false");
    let running = setup.start();
    running.load().await;
    assert_eq!(running.status().await["tier"], "device");
    let (sent, held) = (running.page.count(Count::ToDeviceBytes), running.page.held(0));
    running.bring("n").await;
    while running.status().await["tier"] != "host" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let files = fs::read_dir(running.folder.path()).unwrap().map(|file| file.unwrap());
    let size: u64 = files.map(|file| file.metadata().unwrap().len()).sum();
    assert_eq!(running.status().await["warm_bytes"], size);
    assert_eq!(running.server.metric("sconce_model_warm_bytes", &[("model", "m")]).await, size as f64);
    fs::remove_dir_all(running.folder.path()).unwrap();
    let before = running.page.count(Count::ToDeviceBytes);
    running.load().await;
    assert_eq!(running.page.count(Count::ToDeviceBytes) - before, sent, "each byte once");
    assert_eq!(running.page.held(0), held);
    assert_eq!(running.ask().await.0, 200);
    assert!(running.status().await.get("warm_bytes").is_none(), "it is there once");
}

#[tokio::test]
async fn none_stays_where_that_is_not_wanted() {
    let setup = Setup::new(&[HOPPER]).and("n").env("SCONCE_MEMORY__MAX_RESIDENT", "1");
    let running = setup.env("SCONCE_MEMORY__WARM", "none").start();
    running.load().await;
    running.bring("n").await;
    assert_eq!(running.status().await["tier"], "disk");
    running.load().await;
    assert_eq!(running.status().await["tier"], "device");
}
