//! Steps of a decoder, again and again: the launches of one are recorded once for each number of rows, and then asked for as one
//! graph.

use std::{collections::BTreeMap, sync::Arc};

use candle_core::{
    CudaDevice, Device, Result, Tensor, TensorId,
    cuda_backend::{
        WrapErr,
        cudarc::driver::{CudaGraph, CudaSlice, CudaStream, DevicePtr, result, sys},
    },
};

use super::{memory::Memory, product::Products, step::Step, table::StepTable};

/// What stays from one step to the next, of one decoder after the other.
pub(crate) struct Steps {
    /// Of a step, at most so far.
    rows: usize,
    decoder: Option<Repeated>,
}

/// One decoder.
struct Repeated {
    /// Names its weights, which graphs know by their addresses.
    weights: TensorId,
    device: CudaDevice,
    products: Products,
    table: CudaSlice<u64>,
    memory: Memory,
    /// By rows.
    recorded: BTreeMap<usize, Recorded>,
    /// For which caches that was, at most.
    positions: usize,
    /// Where steps are recorded, since others work on the stream of the device meanwhile.
    recorder: Option<Arc<CudaStream>>,
    /// Whether a graph could not be made, so that none is tried again.
    eager: bool,
}

enum Recorded {
    /// Not yet: a step was done, with which all is there that it needs.
    Done,
    Graph(Graph, Tensor),
}

struct Graph(CudaGraph);

// SAFETY: a graph may be used by one thread at a time, whichever it is. Whoever has it alone uses it, by a unique reference.
unsafe impl Send for Graph {}
// SAFETY: nothing is done with one that is shared.
unsafe impl Sync for Graph {}

/// Asks for a step.
type Ask<'a> = &'a dyn Fn(&mut Step<'_>) -> Result<Tensor>;

// === impl Steps ===

impl Steps {
    /// Of so many rows, at most; of more memory is taken anew.
    pub fn new(rows: usize) -> Self {
        Self { rows, decoder: None }
    }

    /// Does a step of the decoder with these weights, which `ask` asks for, always in the same way. What it gives stays as it is
    /// until the next step.
    pub fn run(&mut self, weights: TensorId, device: &Device, table: &StepTable, ask: Ask<'_>) -> Result<Tensor> {
        if table.rows() == 0 {
            candle_core::bail!("a step of no rows");
        }
        if table.rows() > self.rows {
            (self.rows, self.decoder) = (table.rows().next_power_of_two(), None);
        }
        if self.decoder.as_ref().is_none_or(|decoder| decoder.weights != weights) {
            // What there is goes before as much is taken again.
            self.decoder = None;
            self.decoder = Some(Repeated::new(weights, device.as_cuda_device()?, table.room(self.rows), self.rows)?);
        }
        match &mut self.decoder {
            Some(decoder) => decoder.run(table, ask),
            None => candle_core::bail!("there is no decoder"),
        }
    }
}

#[cfg(test)]
impl Steps {
    pub fn has_graph(&self, rows: usize) -> bool {
        let recorded = self.decoder.as_ref().and_then(|decoder| decoder.recorded.get(&rows));
        matches!(recorded, Some(Recorded::Graph(..)))
    }
}

impl std::fmt::Debug for Steps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Steps").field("rows", &self.rows).finish_non_exhaustive()
    }
}

// === impl Repeated ===

impl Repeated {
    fn new(weights: TensorId, device: &CudaDevice, words: usize, rows: usize) -> Result<Self> {
        Ok(Self {
            weights,
            device: device.clone(),
            products: Products::new(device)?,
            // SAFETY: of it only what was written is read.
            table: unsafe { device.alloc::<u64>(words) }?,
            memory: Memory::new(device, rows),
            recorded: BTreeMap::new(),
            positions: 0,
            recorder: None,
            eager: false,
        })
    }

    fn run(&mut self, table: &StepTable, ask: Ask<'_>) -> Result<Tensor> {
        if table.words().len() > self.table.len() {
            candle_core::bail!("a step has more caches than those before");
        }
        if table.positions() > self.positions {
            // It would be right with longer ones, and slow: they are divided among as many blocks as they were.
            self.positions = table.positions();
            self.recorded.clear();
        }
        let (stream, rows) = (self.device.cuda_stream(), table.rows());
        stream.memcpy_htod(table.words(), &mut self.table).w()?;
        if !self.eager && matches!(self.recorded.get(&rows), Some(Recorded::Done)) {
            self.record(table, ask);
        }
        if let Some(Recorded::Graph(graph, out)) = self.recorded.get(&rows) {
            graph.launch(&stream)?;
            return Ok(out.clone());
        }
        let out = self.ask(&stream, table, ask)?;
        self.recorded.insert(rows, Recorded::Done);
        Ok(out)
    }

    fn ask(&mut self, stream: &Arc<CudaStream>, table: &StepTable, ask: Ask<'_>) -> Result<Tensor> {
        self.products.go_to(stream)?;
        self.memory.begin();
        let (place, _use) = self.table.device_ptr(stream);
        ask(&mut Step {
            device: &self.device,
            stream,
            products: &self.products,
            table: place,
            groups: table.groups(),
            states: table.states(),
            rows: table.rows(),
            each: table.each(),
            memory: &mut self.memory,
        })
    }

    fn record(&mut self, table: &StepTable, ask: Ask<'_>) {
        match self.graph(table, ask) {
            Ok((graph, out)) => drop(self.recorded.insert(table.rows(), Recorded::Graph(graph, out))),
            Err(error) => {
                self.eager = true;
                tracing::warn!(%error, "the steps of a decoder could not be recorded as a graph; they are asked for one by one");
            }
        }
    }

    fn graph(&mut self, table: &StepTable, ask: Ask<'_>) -> Result<(Graph, Tensor)> {
        let recorder = match &self.recorder {
            Some(recorder) => recorder.clone(),
            None => self.recorder.insert(self.device.cuda_stream().context().new_stream().w()?).clone(),
        };
        recorder.begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).w()?;
        let asked = self.ask(&recorder, table, ask);
        // Ended whatever became of it.
        let graph = recorder.end_capture(sys::CUgraphInstantiate_flags(0)).w();
        let (out, graph) = (asked?, graph?.ok_or_else(|| candle_core::Error::msg("nothing was recorded"))?);
        let graph = Graph(graph);
        graph.check()?;
        Ok((graph, out))
    }
}

// === impl Graph ===

impl Graph {
    /// On this stream rather than that on which it was recorded.
    fn launch(&self, stream: &CudaStream) -> Result<()> {
        stream.context().bind_to_thread().w()?;
        // SAFETY: all that its nodes read and write stays for as long as the graph: the memory of steps, the table and weights;
        // the caches and states that the table names live while their step is asked for.
        unsafe { result::graph::launch(self.0.cu_graph_exec(), stream.cu_stream()) }.w()?;
        Ok(())
    }

    /// A copy would read again what a host had at that time, and memory that is taken anew would not be where it was.
    fn check(&self) -> Result<()> {
        use sys::CUgraphNodeType_enum::{CU_GRAPH_NODE_TYPE_KERNEL as KERNEL, CU_GRAPH_NODE_TYPE_MEMSET as FILL};
        for node in self.nodes()? {
            let mut kind = KERNEL;
            // SAFETY: the node is one of the graph, which lives.
            unsafe { sys::cuGraphNodeGetType(node, &raw mut kind) }.result().w()?;
            if kind != KERNEL && kind != FILL {
                candle_core::bail!("a step holds what cannot be repeated: {kind:?}");
            }
        }
        Ok(())
    }

    fn nodes(&self) -> Result<Vec<sys::CUgraphNode>> {
        let mut count = 0;
        // SAFETY: without a place for nodes only their number is written.
        unsafe { sys::cuGraphGetNodes(self.0.cu_graph(), std::ptr::null_mut(), &raw mut count) }.result().w()?;
        let mut nodes = vec![std::ptr::null_mut(); count];
        // SAFETY: there is room for as many nodes.
        unsafe { sys::cuGraphGetNodes(self.0.cu_graph(), nodes.as_mut_ptr(), &raw mut count) }.result().w()?;
        Ok(nodes)
    }
}
