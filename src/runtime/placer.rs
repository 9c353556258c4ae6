//! Which device each model lives on.

use std::{collections::BTreeMap, sync::Arc};

use candle_core::Device;
use parking_lot::Mutex;

use super::{
    Config, DeviceHealth, Devices, Host, PlacementError,
    choice::{Candidate, choose},
};
use crate::{
    model::{DeviceChoice, DeviceId, Family, Placement, PlacementOverrides, Programs, ReferenceCache},
    speech::ModelName,
};

/// Chooses a device for each model, and remembers what it promised to whom.
pub struct Placer {
    devices: Arc<dyn Devices>,
    config: Config,
    /// Accelerators that answered at the start, and run what was built.
    accelerators: Vec<DeviceId>,
    /// Why others that answered are none of them.
    unfit: Vec<PlacementError>,
    health: Arc<DeviceHealth>,
    /// Bytes that models may take of each device that tells.
    rooms: BTreeMap<DeviceId, u64>,
    references: ReferenceCache,
    /// Those that models live on or were checked for, open for the life of the process: all models of a device share it, and
    /// a context of its own for each would cost the memory of one and seconds. One that did not answer is not among them.
    // The map is locked for a look, and each place in it while its device is opened, so that nobody opens that twice and
    // nobody who wants another one waits.
    opened: Mutex<BTreeMap<DeviceId, Arc<Mutex<Option<Device>>>>>,
    // Locked for a look or a change.
    promised: Mutex<BTreeMap<ModelName, (DeviceId, u64)>>,
}

/// A device, and how a model lives on it.
#[derive(Clone, Debug)]
pub struct Placed {
    pub device: DeviceId,
    pub placement: Placement,
}

// === impl Placer ===

impl Placer {
    /// Looks at the devices once. Fails if the general settings name one that cannot be used.
    pub fn new(config: &Config, devices: Arc<dyn Devices>) -> Result<Self, PlacementError> {
        let (mut accelerators, mut unfit) = (devices.accelerators(), Vec::new());
        accelerators.retain(|device| devices.check(*device).map_err(|error| unfit.push(error)).is_ok());
        unfit.iter().for_each(|reason| tracing::warn!(%reason, "an accelerator cannot be used"));
        let room = |device: DeviceId| {
            let memory = devices.memory(device)?;
            // What others hold of main memory now, caches among it, says little of later; an accelerator is shared by few.
            let most = if device.is_accelerator() { memory.free } else { memory.total };
            Some((device, most.saturating_sub(config.reserve)))
        };
        let rooms = accelerators.iter().copied().chain([DeviceId::Cpu]).filter_map(room).collect();
        let references = ReferenceCache::new(&config.references);
        let (opened, promised, health) = (Mutex::default(), Mutex::default(), Arc::default());
        let config = config.clone();
        let placer = Self { devices, config, accelerators, unfit, health, rooms, references, opened, promised };
        placer.check(&PlacementOverrides::default())?;
        Ok(placer)
    }

    /// Whether a model with these wishes can live here at all.
    pub fn check(&self, overrides: &PlacementOverrides) -> Result<(), PlacementError> {
        self.candidates(overrides)?.first().map_or(Ok(()), |device| self.open(*device).map(drop))
    }

    /// Which devices are lost to this process.
    pub fn health(&self) -> &Arc<DeviceHealth> {
        &self.health
    }

    /// Whether a family computes in the type that is wished for, wherever its model may live.
    pub fn check_dtype(&self, family: &dyn Family, overrides: &PlacementOverrides) -> Result<(), PlacementError> {
        let choice = overrides.dtype.unwrap_or(self.config.dtype);
        for device in self.candidates(overrides)? {
            let known = family.dtypes(device);
            let dtype = choice.of(known);
            if !known.contains(&dtype) {
                let known = known.iter().map(|dtype| dtype.as_str()).collect::<Vec<_>>().join(", ");
                return Err(PlacementError::DType { dtype: dtype.as_str(), family: family.name(), known, device });
            }
        }
        Ok(())
    }

    /// Where this model is to live: where it lived before, else the fastest with room for the `need`, in bytes, and as long as
    /// nobody knows it the one with the most room. May block while a device is opened.
    pub fn place(
        &self,
        name: &ModelName,
        family: &dyn Family,
        overrides: &PlacementOverrides,
        need: Option<u64>,
    ) -> Result<Placed, PlacementError> {
        let candidates = self.candidates(overrides)?;
        let before = self.promised.lock().get(name).map(|(device, _)| *device);
        let device = match before.filter(|before| candidates.contains(before)) {
            Some(before) => before,
            None => self.choose(name, &candidates, need),
        };
        let opened = self.open(device)?;
        let placement = Placement {
            dtype: overrides.dtype.unwrap_or(self.config.dtype).of(family.dtypes(device)),
            weights: self.config.weights.unwrap_or_default(),
            device: opened,
            threads: overrides.threads.or(self.config.threads).unwrap_or_else(Host::processors).max(1),
            max_batch: overrides.max_batch.unwrap_or(self.config.max_batch).max(1),
            references: self.references.clone(),
            programs: self.programs(overrides),
        };
        Ok(Placed { device, placement })
    }

    /// What a model is to know of programs.
    pub fn programs(&self, overrides: &PlacementOverrides) -> Programs {
        Programs { worker: overrides.worker.clone(), ..self.config.programs.clone() }
    }

    /// Remembers that a model will take so many bytes of a device.
    pub fn promise(&self, name: &ModelName, device: DeviceId, bytes: u64) {
        self.promised.lock().insert(name.clone(), (device, bytes));
    }

    /// What families computed of reference recordings.
    pub fn references(&self) -> &ReferenceCache {
        &self.references
    }

    /// Where models without wishes of their own live.
    pub fn usual(&self) -> Vec<DeviceId> {
        // That there is one was checked at the start.
        self.candidates(&PlacementOverrides::default()).unwrap_or_default()
    }

    /// Bytes that models may take of each device: of the CPU what this process may have in all, of an accelerator what was
    /// free at the start, less the reserve.
    pub fn rooms(&self) -> &BTreeMap<DeviceId, u64> {
        &self.rooms
    }

    fn open(&self, device: DeviceId) -> Result<Device, PlacementError> {
        if let Some(reason) = self.health.lost(device) {
            return Err(PlacementError::Lost { device, reason });
        }
        self.devices.check(device)?;
        let place = self.opened.lock().entry(device).or_default().clone();
        let mut place = place.lock();
        match &*place {
            Some(known) => Ok(known.clone()),
            None => Ok(place.insert(self.devices.open(device)?).clone()),
        }
    }

    /// Where a model with these wishes could live. Never empty.
    fn candidates(&self, overrides: &PlacementOverrides) -> Result<Vec<DeviceId>, PlacementError> {
        let choice = overrides.device.unwrap_or(self.config.device);
        match choice {
            DeviceChoice::Only(DeviceId::Cpu) if self.config.require_gpu => Err(PlacementError::Contradiction),
            DeviceChoice::Only(device) => Ok(vec![device]),
            DeviceChoice::Auto if !self.accelerators.is_empty() => {
                let lost = self.health.all_lost();
                let left: Vec<_> = self.accelerators.iter().copied().filter(|it| !lost.contains_key(it)).collect();
                // Of what is lost opening tells why.
                Ok(if left.is_empty() { self.accelerators.clone() } else { left })
            }
            DeviceChoice::Auto if self.config.require_gpu => Err(PlacementError::NoGpu { reason: self.why_none() }),
            DeviceChoice::Auto => Ok(vec![DeviceId::Cpu]),
        }
    }

    /// By what is free now and not promised to others.
    fn choose(&self, name: &ModelName, candidates: &[DeviceId], need: Option<u64>) -> DeviceId {
        if let [only] = candidates {
            return *only;
        }
        // A device may take its time to tell, and nobody has to wait for that who only promises.
        let ask = |device: &DeviceId| (*device, self.devices.memory(*device).map_or(0, |it| it.free));
        let free: Vec<_> = candidates.iter().map(ask).collect();
        let promised = self.promised.lock();
        let candidate = |(device, free): (DeviceId, u64)| {
            let others = promised.iter().filter(|(other, (at, _))| *other != name && *at == device);
            let taken = others.fold(0u64, |sum, (_, (_, bytes))| sum.saturating_add(*bytes));
            let limit = self.rooms.get(&device).copied().unwrap_or(0);
            let room = free.min(limit.saturating_sub(taken));
            Candidate { device, speed: self.devices.speed(device), limit, room, free }
        };
        choose(&free.into_iter().map(candidate).collect::<Vec<_>>(), need).unwrap_or(DeviceId::Cpu)
    }

    fn why_none(&self) -> String {
        if !self.unfit.is_empty() {
            return self.unfit.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        }
        let built = cfg!(any(feature = "cuda", feature = "metal"));
        if built { "none answers" } else { "this build knows none (features cuda, metal)" }.to_owned()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        model::{DTypeChoice, LoadError, Model, ModelFiles, Precision, Preset},
        runtime::DeviceMemory,
        speech::{Fault, TaskKind},
    };

    const CUDA0: DeviceId = DeviceId::Cuda(0);
    const CUDA1: DeviceId = DeviceId::Cuda(1);

    /// Accelerators with so much free memory, and how often one was opened. The second is the faster one.
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
        let place = |model: &str, need| {
            placer.place(&name(model), &Narrow, &PlacementOverrides::default(), need).unwrap().device
        };
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
        assert_eq!(
            (placed.device, placed.placement.threads, placed.placement.dtype),
            (DeviceId::Cpu, 3, Precision::F32)
        );
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

    impl Family for Narrow {
        fn name(&self) -> &'static str {
            "narrow"
        }

        fn tasks(&self) -> &'static [TaskKind] {
            &[]
        }

        fn dtypes(&self, device: DeviceId) -> &'static [Precision] {
            if device.is_accelerator() { &[Precision::F16] } else { &[Precision::F32, Precision::Bf16] }
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
}
