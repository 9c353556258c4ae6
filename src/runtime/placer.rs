//! Which device each model lives on.

use std::{collections::BTreeMap, sync::Arc};

use candle_core::Device;
use parking_lot::Mutex;

use super::{
    Config, DeviceHealth, Devices, Host, PlacementError,
    choice::{Candidate, choose},
};
use crate::{
    model::{
        DeviceChoice, DeviceId, Family, Placement, PlacementOverrides, Precision, Programs, ReferenceCache, Residency,
    },
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
            let known = self.dtypes(family, device);
            let dtype = choice.of(&known);
            if !known.contains(&dtype) {
                let known = known.iter().map(|dtype| dtype.as_str()).collect::<Vec<_>>().join(", ");
                return Err(PlacementError::DType { dtype: dtype.as_str(), family: family.name(), known, device });
            }
        }
        Ok(())
    }

    /// What a family computes in on a device, the usual type first. Where that is bf16 and the device has none, the next is usual.
    fn dtypes(&self, family: &dyn Family, device: DeviceId) -> Vec<Precision> {
        let there = |dtype: &Precision| *dtype != Precision::Bf16 || self.devices.has_bf16(device);
        family.dtypes(device).iter().copied().filter(there).collect()
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
        let before = self.promised(name).map(|(device, _)| device);
        let device = match before.filter(|before| candidates.contains(before)) {
            Some(before) => before,
            None => self.choose(name, &candidates, need),
        };
        let opened = self.open(device)?;
        let placement = Placement {
            dtype: overrides.dtype.unwrap_or(self.config.dtype).of(&self.dtypes(family, device)),
            weights: self.config.weights.unwrap_or_default(),
            device: opened,
            threads: overrides.threads.or(self.config.threads).unwrap_or_else(Host::processors).max(1),
            max_batch: overrides.max_batch.unwrap_or(self.config.max_batch).max(1),
            residency: Residency::default(),
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

    /// Where a model is to take so many bytes.
    pub fn promised(&self, name: &ModelName) -> Option<(DeviceId, u64)> {
        self.promised.lock().get(name).copied()
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

    /// Whether main memory has so many bytes now, beside the reserve. One that does not tell has not.
    pub fn host_spares(&self, bytes: u64) -> bool {
        let needed = bytes.saturating_add(self.config.reserve);
        self.devices.memory(DeviceId::Cpu).is_some_and(|memory| memory.free >= needed)
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
pub(super) mod tests;
