//! What models take of the memory of their device, and what they leave behind.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use candle_core::Device;

use super::{super::memory::held, *};
use crate::model::{Backing, Location, ModelFiles};

/// Weights, and whether they are kept by somebody else when the model goes.
struct Heavy {
    weights: Option<Vec<u8>>,
    keeper: Option<Sender<Vec<u8>>>,
}

impl Model for Heavy {}

impl Drop for Heavy {
    fn drop(&mut self) {
        if let (Some(keeper), Some(weights)) = (&self.keeper, self.weights.take()) {
            let _ = keeper.send(weights);
        }
    }
}

/// What a model of 64 MiB gains, frees and leaves behind.
#[cfg(target_os = "linux")]
fn weigh(keeper: Option<Sender<Vec<u8>>>) -> (u64, u64, f64) {
    let load = move || Ok(Box::new(Heavy { weights: Some(vec![1; 64 << 20]), keeper }) as Box<dyn Model>);
    let (executor, events, registry) = set_up(Setup { leak_threshold: 32 << 20, ..setup() }, load);
    let Ok(Event::Loaded { resident: Some(resident), .. }) = events.recv_timeout(SOON) else { panic!("not loaded") };
    drop(executor);
    events.recv_timeout(SOON).unwrap();
    let Ok(Event::Ended { freed: Some(freed), .. }) = events.recv_timeout(SOON) else { panic!("no end") };
    (resident, freed, leaked(&registry))
}

fn leaked(registry: &prometheus::Registry) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == "sconce_model_leaked_bytes_total").unwrap();
    family.get_metric()[0].get_counter().get_value()
}

#[test]
#[cfg(target_os = "linux")]
fn what_a_model_held_is_given_back() {
    let (resident, freed, leaked) = weigh(None);
    assert!(resident >= 48 << 20 && freed >= 48 << 20, "{resident} came and {freed} went");
    assert_eq!(leaked, 0.0);
}

#[test]
#[cfg(target_os = "linux")]
fn what_stays_behind_is_a_leak_and_is_counted() {
    let (keeper, kept) = channel();
    let (_, _, leaked) = weigh(Some(keeper));
    assert!(leaked >= f64::from(32 << 20), "{leaked}");
    assert_eq!(kept.recv_timeout(SOON).unwrap().len(), 64 << 20);
}

/// An accelerator of which so many bytes are free.
struct Accelerator(AtomicU64);

impl Devices for Accelerator {
    fn accelerators(&self) -> Vec<DeviceId> {
        vec![DeviceId::Cuda(0)]
    }

    fn open(&self, _device: DeviceId) -> Result<Device, PlacementError> {
        Ok(Device::Cpu)
    }

    fn memory(&self, _device: DeviceId) -> Option<DeviceMemory> {
        Some(DeviceMemory { free: self.0.load(SeqCst), total: 1000 })
    }
}

/// Takes of it when it comes, and gives back when it goes.
struct Tenant {
    device: Arc<Accelerator>,
    gives_back: u64,
}

impl Model for Tenant {}

impl Drop for Tenant {
    fn drop(&mut self) {
        self.device.0.fetch_add(self.gives_back, SeqCst);
    }
}

#[test]
fn on_an_accelerator_its_own_memory_is_weighed() {
    for (gives_back, leak) in [(300, 0.0), (100, 200.0)] {
        let device = Arc::new(Accelerator(AtomicU64::new(900)));
        let (scale, there) = (Scale::new(device.clone()), Setup { device: DeviceId::Cuda(0), ..setup() });
        let (executor, events, registry) = set_up(Setup { scale, leak_threshold: 50, ..there }, move || {
            device.0.fetch_sub(300, SeqCst);
            Ok(Box::new(Tenant { device, gives_back }) as Box<dyn Model>)
        });
        assert!(matches!(events.recv_timeout(SOON), Ok(Event::Loaded { resident: Some(300), .. })));
        assert!(matches!(events.recv_timeout(SOON), Ok(Event::Ready { .. })));
        drop(executor);
        let Ok(Event::Ended { freed, .. }) = events.recv_timeout(SOON) else { panic!("no end") };
        assert_eq!((freed, leaked(&registry)), (Some(gives_back), leak));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_weighing_that_another_model_disturbed_says_nothing() {
    let scale = setup().scale;
    let first = scale.load(DeviceId::Cpu);
    let second = scale.unload(DeviceId::Cpu);
    assert_eq!(second.lost(), None);
    assert_eq!(first.gained(), None);
    assert!(scale.load(DeviceId::Cpu).gained().is_some());
}

#[test]
#[cfg(target_os = "linux")]
fn what_is_own_and_what_is_mapped_is_measured() {
    let before = held().unwrap();
    let own = std::hint::black_box(vec![1u8; 64 << 20]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &own[..48 << 20]).unwrap();
    let mut files = ModelFiles::default();
    files.insert("model", "weights", Location::Disk(file.path().to_owned()));
    let mapped = files.weights("model", "weights", Backing::Mapped).unwrap();
    let after = held().unwrap();
    let grown = (after.own.saturating_sub(before.own), after.mapped.saturating_sub(before.mapped));
    assert!(grown.0 >= 32 << 20 && grown.1 >= 32 << 20, "{grown:?} for {} and {}", own.len(), mapped.len());
}
