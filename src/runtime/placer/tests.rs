//! Placing, on accelerators that the tests make up.

use super::*;
use crate::{
    model::{DTypeChoice, LoadError, Model, ModelFiles, Precision, Preset},
    runtime::DeviceMemory,
    speech::{Fault, TaskKind},
};

const CUDA0: DeviceId = DeviceId::Cuda(0);
const CUDA1: DeviceId = DeviceId::Cuda(1);

/// Accelerators with so much free memory, and how often one was opened. The second is the faster one, and has no bf16.
#[derive(Default)]
struct Fake(Mutex<Vec<(DeviceId, u64)>>, Mutex<BTreeMap<DeviceId, usize>>);

/// One that answers, and cannot run what was built.
const TOO_OLD: DeviceId = DeviceId::Cuda(7);

impl Devices for Fake {
    fn accelerators(&self) -> Vec<DeviceId> {
        self.0.lock().iter().map(|(device, _)| *device).collect()
    }

    fn check(&self, device: DeviceId) -> Result<(), PlacementError> {
        let unfit = || PlacementError::Unfit { device, reason: "it is too old".to_owned() };
        if device == TOO_OLD { Err(unfit()) } else { Ok(()) }
    }

    fn has_bf16(&self, device: DeviceId) -> bool {
        device != CUDA1
    }

    fn speed(&self, device: DeviceId) -> u64 {
        if device == CUDA1 { 2 } else { 1 }
    }

    fn open(&self, device: DeviceId) -> Result<Device, PlacementError> {
        *self.1.lock().entry(device).or_default() += 1;
        match self.memory(device) {
            Some(_) => Ok(Device::Cpu),
            None => Err(PlacementError::NotThere { device, reason: "no such device".to_owned() }),
        }
    }

    fn memory(&self, device: DeviceId) -> Option<DeviceMemory> {
        let cpu = (DeviceId::Cpu, 1000);
        let all = self.0.lock();
        let (_, free) = all.iter().chain([&cpu]).find(|(known, _)| *known == device)?;
        Some(DeviceMemory { free: *free, total: 2000 })
    }
}

fn config() -> Config {
    Config { reserve: 100, ..crate::runtime::tests::config() }
}

fn fake(accelerators: &[(DeviceId, u64)]) -> Arc<Fake> {
    Arc::new(Fake(Mutex::new(accelerators.to_vec()), Mutex::default()))
}

fn placer(config: &Config, accelerators: &[(DeviceId, u64)]) -> Result<Placer, PlacementError> {
    Placer::new(config, fake(accelerators))
}

fn name(name: &str) -> ModelName {
    ModelName::known(name)
}

fn only(device: DeviceId) -> PlacementOverrides {
    PlacementOverrides { device: Some(DeviceChoice::Only(device)), ..PlacementOverrides::default() }
}

#[test]
fn auto_takes_the_accelerator_with_the_most_room_and_then_the_other() {
    let placer = placer(&config(), &[(CUDA0, 800), (CUDA1, 1000)]).unwrap();
    let place = |model: &str, bytes: u64| {
        let placed = placer.place(&name(model), &Narrow, &PlacementOverrides::default(), None).unwrap();
        placer.promise(&name(model), placed.device, bytes);
        placed.device
    };
    assert_eq!(place("a", 500), CUDA1);
    assert_eq!(place("b", 100), CUDA0);
    assert_eq!(place("c", 100), CUDA0);
    assert_eq!(place("a", 500), CUDA1, "a model stays where it is");
}

#[test]
fn where_the_need_is_known_auto_takes_the_fastest_that_has_room() {
    let placer = placer(&config(), &[(CUDA0, 1000), (CUDA1, 800)]).unwrap();
    let place =
        |model: &str, need| placer.place(&name(model), &Narrow, &PlacementOverrides::default(), need).unwrap().device;
    assert_eq!(place("a", None), CUDA0);
    assert_eq!(place("a", Some(700)), CUDA1, "to what the reserve leaves");
    assert_eq!(place("a", Some(701)), CUDA0);
    placer.promise(&name("b"), CUDA1, 400);
    assert_eq!(place("a", Some(301)), CUDA0, "the rest is promised to another");
}

#[test]
fn one_that_cannot_run_what_was_built_is_none() {
    let all = placer(&config(), &[(TOO_OLD, 1000), (CUDA0, 800)]).unwrap();
    assert_eq!(all.usual(), [CUDA0]);
    assert!(matches!(all.check(&only(TOO_OLD)), Err(PlacementError::Unfit { .. })), "not even by its name");
    assert_eq!(placer(&config(), &[(TOO_OLD, 1000)]).unwrap().usual(), [DeviceId::Cpu]);
    let required = Config { require_gpu: true, ..config() };
    let Err(error) = placer(&required, &[(TOO_OLD, 1000)]) else { panic!("it was taken") };
    assert!(error.to_string().contains("device = \"cuda:7\": it is too old"), "{error}");
}

#[test]
fn what_is_lost_is_left_for_another_and_never_for_the_cpu() {
    let placer = placer(&config(), &[(CUDA0, 800), (CUDA1, 700)]).unwrap();
    let place = || placer.place(&name("a"), &Narrow, &PlacementOverrides::default(), None);
    placer.promise(&name("a"), CUDA0, 10);
    assert_eq!(place().unwrap().device, CUDA0);
    placer.health().lose(CUDA0, "an error");
    assert_eq!(place().unwrap().device, CUDA1);
    placer.health().lose(CUDA1, "an error");
    let Err(error) = place() else { panic!("it was placed") };
    assert!(matches!(error, PlacementError::Lost { .. }), "{error}");
    assert!(error.permanent());
}

#[test]
fn a_device_is_opened_once_however_many_models_live_there() {
    let devices = fake(&[(CUDA0, 900), (CUDA1, 800)]);
    let placer = Placer::new(&config(), devices.clone()).unwrap();
    for model in ["a", "b", "a", "c"] {
        assert_eq!(placer.check(&PlacementOverrides::default()), Ok(()));
        placer.place(&name(model), &Narrow, &PlacementOverrides::default(), None).unwrap();
        placer.place(&name(model), &Narrow, &only(CUDA1), None).unwrap();
    }
    assert_eq!(*devices.1.lock(), BTreeMap::from([(CUDA0, 1), (CUDA1, 1)]));
}

#[test]
fn a_device_that_did_not_answer_is_asked_anew() {
    let devices = fake(&[(CUDA0, 900)]);
    let placer = Placer::new(&config(), devices.clone()).unwrap();
    assert!(placer.place(&name("a"), &Narrow, &only(CUDA1), None).is_err());
    devices.0.lock().push((CUDA1, 800));
    assert!(placer.place(&name("a"), &Narrow, &only(CUDA1), None).is_ok());
    assert_eq!(devices.1.lock()[&CUDA1], 2);
}

#[test]
fn memory_that_others_took_meanwhile_counts() {
    let devices = fake(&[(CUDA0, 900), (CUDA1, 1000)]);
    let placer = Placer::new(&config(), devices.clone()).unwrap();
    devices.0.lock()[1].1 = 50;
    assert_eq!(placer.place(&name("a"), &Narrow, &PlacementOverrides::default(), None).unwrap().device, CUDA0);
}

#[test]
fn a_model_may_wish_for_another_device_and_for_threads() {
    let placer = placer(&config(), &[(CUDA0, 800)]).unwrap();
    let overrides = PlacementOverrides { threads: Some(3), ..only(DeviceId::Cpu) };
    let placed = placer.place(&name("a"), &Narrow, &overrides, None).unwrap();
    assert_eq!((placed.device, placed.placement.threads, placed.placement.dtype), (DeviceId::Cpu, 3, Precision::F32));
    assert_eq!(
        placer.place(&name("b"), &Narrow, &PlacementOverrides::default(), None).unwrap().placement.dtype,
        Precision::F16
    );
}

#[test]
fn models_without_wishes_live_on_the_accelerators_where_there_are_any() {
    assert_eq!(placer(&config(), &[(CUDA0, 800), (CUDA1, 1000)]).unwrap().usual(), [CUDA0, CUDA1]);
    assert_eq!(placer(&config(), &[]).unwrap().usual(), [DeviceId::Cpu]);
}

#[test]
fn there_is_no_silent_fall_back() {
    let gone = Config { device: DeviceChoice::Only(CUDA1), ..config() };
    assert!(matches!(placer(&gone, &[(CUDA0, 800)]), Err(PlacementError::NotThere { device: CUDA1, .. })));
    let required = Config { require_gpu: true, ..config() };
    assert!(matches!(placer(&required, &[]), Err(PlacementError::NoGpu { .. })));
    let both = Config { device: DeviceChoice::Only(DeviceId::Cpu), ..required.clone() };
    assert!(matches!(placer(&both, &[(CUDA0, 800)]), Err(PlacementError::Contradiction)));
    let with_one = placer(&required, &[(CUDA0, 800)]).unwrap();
    assert_eq!(with_one.check(&only(DeviceId::Cpu)), Err(PlacementError::Contradiction));
    assert!(with_one.check(&only(CUDA1)).is_err());
    assert_eq!(with_one.check(&only(CUDA0)), Ok(()));
}

#[test]
fn the_room_of_a_device_is_what_there_is_less_the_reserve() {
    let placer = placer(&config(), &[(CUDA0, 800), (CUDA1, 50)]).unwrap();
    assert_eq!(*placer.rooms(), BTreeMap::from([(DeviceId::Cpu, 1900), (CUDA0, 700), (CUDA1, 0)]));
}

#[test]
fn a_model_may_have_a_type_and_a_batch_of_its_own() {
    let placer = placer(&config(), &[]).unwrap();
    let overrides =
        PlacementOverrides { dtype: Some(DTypeChoice::Bf16), max_batch: Some(3), ..PlacementOverrides::default() };
    let placement = placer.place(&name("a"), &Narrow, &overrides, None).unwrap().placement;
    assert_eq!((placement.dtype, placement.max_batch), (Precision::Bf16, 3));
    let usual = placer.place(&name("b"), &Narrow, &PlacementOverrides::default(), None).unwrap().placement;
    assert_eq!((usual.dtype, usual.max_batch), (Precision::F32, 4));
}

/// Computes in f32 and bf16 on the CPU, and in f16 elsewhere.
pub(in crate::runtime) struct Narrow;

/// Its models are published in bf16.
struct Published;

/// A family of no models.
macro_rules! family {
    ($family:ident, $name:literal, $accelerator:expr) => {
        impl Family for $family {
            fn name(&self) -> &'static str {
                $name
            }

            fn tasks(&self) -> &'static [TaskKind] {
                &[]
            }

            fn dtypes(&self, device: DeviceId) -> &'static [Precision] {
                if device.is_accelerator() { $accelerator } else { &[Precision::F32, Precision::Bf16] }
            }

            fn presets(&self) -> &'static [Preset] {
                &[]
            }

            fn recognises(&self, _config: &serde_json::Value) -> bool {
                false
            }

            fn files(&self, _part: &str, _listing: &[String]) -> Result<Vec<String>, LoadError> {
                Ok(Vec::new())
            }

            fn footprint(&self, _files: &ModelFiles, _place: &Placement) -> Result<u64, LoadError> {
                Ok(0)
            }

            fn load(&self, _files: &ModelFiles, _place: &Placement) -> Result<Box<dyn Model>, LoadError> {
                Err(LoadError::Unsupported("it is none".to_owned()))
            }
        }
    };
}

family!(Narrow, "narrow", &[Precision::F16]);
family!(Published, "published", &[Precision::Bf16, Precision::F16, Precision::F32]);

#[test]
fn what_is_usually_in_bf16_is_in_the_next_type_where_there_is_none() {
    let placer = placer(&config(), &[(CUDA0, 800), (CUDA1, 800)]).unwrap();
    let place = |device| placer.place(&name("a"), &Published, &only(device), None).unwrap().placement.dtype;
    assert_eq!((place(CUDA0), place(CUDA1)), (Precision::Bf16, Precision::F16));
    let wish = |device| PlacementOverrides { dtype: Some(DTypeChoice::Bf16), ..only(device) };
    assert_eq!(placer.check_dtype(&Published, &wish(CUDA0)), Ok(()));
    let error = placer.check_dtype(&Published, &wish(CUDA1)).unwrap_err();
    assert!(error.to_string().contains("published computes in f16, f32 on cuda:1"), "{error}");
}

#[test]
fn a_type_that_a_family_cannot_compute_in_is_refused() {
    let placer = placer(&config(), &[(CUDA0, 800)]).unwrap();
    let wish = |dtype| PlacementOverrides { dtype: Some(dtype), ..PlacementOverrides::default() };
    assert_eq!(placer.check_dtype(&Narrow, &wish(DTypeChoice::Auto)), Ok(()));
    let error = placer.check_dtype(&Narrow, &wish(DTypeChoice::Q8)).unwrap_err();
    assert!(error.to_string().contains("narrow computes in f16 on cuda:0"), "{error}");
    let on_cpu = PlacementOverrides { dtype: Some(DTypeChoice::F16), ..only(DeviceId::Cpu) };
    assert!(placer.check_dtype(&Narrow, &on_cpu).is_err());
}
