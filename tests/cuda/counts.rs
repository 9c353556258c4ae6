//! What a load and a step of the decoder ask of a GPU. The numbers are what holds today; `docs/gpu.md` says how far they are
//! from the goal. One that changed is a change of what a GPU has to do: if it fell it is written down here, so that it stays.

use std::{collections::BTreeMap, time::Duration};

use futures::future::{join, join_all};
use serde_json::json;
use tokio::time::sleep;

use crate::{
    page::{Count, Step},
    server::{HOPPER, LONG_TEXT, Running, Setup},
    support::{chatterbox, checkout, espeak, higgs, zonos},
};

/// Bytes of a row's logits in halves, the least that they could come in.
const LOGITS: u64 = 2 * 1078;
/// Bytes of what was chosen for a row: a token and its log-probability.
const CHOSEN: u64 = 8;

/// Bytes of the host by which weights go to a device.
const STAGING: u64 = 32 << 20;

/// What is asked of a device for one token of every row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Work {
    /// All that is done is asked for at once.
    graphs: u64,
    products: u64,
    /// Kernels beside them, copies and fills within the device.
    launches: u64,
    allocations: u64,
    /// Copies from the host.
    to_device: u64,
    /// Waits for the device, beside the one for what comes to the host.
    syncs: u64,
}

#[tokio::test]
async fn one_context_and_one_stream_serve_all_that_the_process_does() {
    let running = Setup::new(&[HOPPER]).start();
    running.load().await;
    let events = running.page.count(Count::Events);
    for _ in 0..2 {
        assert_eq!(running.ask().await.0, 200);
    }
    assert_eq!(running.page.count(Count::Contexts), 1);
    assert_eq!(running.page.count(Count::Streams), 1);
    assert_eq!(running.page.count(Count::Events), events, "what is in order on one stream needs no events");
}

#[tokio::test]
async fn a_load_copies_what_the_model_holds_once() {
    let running = Setup::new(&[HOPPER]).env("SCONCE_MODELS__M__WARM_UP", "false").start();
    running.load().await;
    let page = &running.page;
    assert_eq!(page.count(Count::ToDeviceBytes), page.held(0), "halves travel as halves");
    assert_eq!(page.count(Count::Launches), 0, "nothing is rounded there");
    let (allocations, copies) = (page.count(Count::Allocations), page.count(Count::ToDevice));
    assert!(allocations <= copies, "{allocations} allocations for {copies} copies: several tensors may be one layer");
    assert_eq!(page.most(0), page.held(0), "nothing is there for a while");
    assert_eq!(page.pinned(), STAGING, "weights come by the two pieces, and no more is locked");
}

/// As much for eight rows as for one: nothing is done row by row.
#[tokio::test]
async fn a_step_of_the_decoder() {
    let running = Setup::new(&[HOPPER]).start();
    running.load().await;
    let expected = Work { graphs: 1, products: 25, launches: 30, allocations: 0, to_device: 2, syncs: 0 };
    for callers in [1, 8] {
        let before = running.page.steps();
        assert_eq!(usual(&running, callers, CHOSEN).await, expected);
        assert!(running.page.steps_since(before).iter().all(|step| step.bytes < LOGITS), "logits stay where they are");
    }
}

/// Four products and five kernels for each of its two layers, whether one or eight speak, each of them in two sequences.
#[tokio::test]
async fn a_step_of_chatterbox() {
    let options = json!({"max_new_tokens": 150, "first_block": 0, "steps": 1});
    let running = Setup::speaking(&[HOPPER], chatterbox::english(), [LONG_TEXT, "chatterbox"], &options).start();
    running.load().await;
    let expected = Work { graphs: 1, products: 9, launches: 12, allocations: 0, to_device: 2, syncs: 0 };
    asks(&running, CHOSEN, expected).await;
}

/// The same of the GPT-2 of Turbo and Nano, whose head has a bias.
#[tokio::test]
async fn a_step_of_chatterbox_turbo() {
    let options = json!({"max_new_tokens": 150, "first_block": 0, "steps": 1});
    let running = Setup::speaking(&[HOPPER], chatterbox::turbo(), [LONG_TEXT, "chatterbox"], &options).start();
    running.load().await;
    let expected = Work { graphs: 1, products: 9, launches: 13, allocations: 0, to_device: 2, syncs: 0 };
    asks(&running, CHOSEN, expected).await;
}

/// The same of three layers, in which the codes of all four books are chosen at once.
#[tokio::test]
async fn a_step_of_higgs() {
    // Nothing is computed, so that each code would be said again and again, and drawn anew.
    let options = json!({"max_new_tokens": 150, "first_block": 0, "ras_window": 0});
    let running = Setup::speaking(&[HOPPER], higgs::together("transformers"), [LONG_TEXT, "higgs"], &options).start();
    running.load().await;
    let expected = Work { graphs: 1, products: 13, launches: 17, allocations: 0, to_device: 2, syncs: 0 };
    asks(&running, 4 * CHOSEN, expected).await;
}

/// The same of three layers for the codes of nine books, each of which is chosen from two sequences.
#[tokio::test]
async fn a_step_of_zonos() {
    let expected = Work { graphs: 1, products: 13, launches: 17, allocations: 0, to_device: 2, syncs: 0 };
    a_step_of_zonos_is("transformer", expected).await;
}

/// Five layers, of which two attend; the others have two products and four kernels each.
#[tokio::test]
async fn a_step_of_the_hybrid_of_zonos() {
    let expected = Work { graphs: 1, products: 15, launches: 24, allocations: 0, to_device: 2, syncs: 0 };
    a_step_of_zonos_is("hybrid", expected).await;
}

async fn a_step_of_zonos_is(of: &str, expected: Work) {
    let Some(program) = espeak::program() else { return };
    let options = json!({"max_new_tokens": 400, "first_block": 0});
    let setup = Setup::speaking(&[HOPPER], zonos::together(of), ["Good morning.", "zonos"], &options);
    let running = setup.env("SCONCE_SPEECH__ESPEAK_NG", program).start();
    running.load().await;
    asks(&running, 9 * CHOSEN, expected).await;
}

/// Who begins while others speak is told its prompt beside their step.
#[tokio::test]
async fn a_newcomer_leaves_the_step_of_the_others_as_it_is() {
    let running = Setup::new(&[HOPPER]).start();
    running.load().await;
    // A graph of as many is there by then.
    for callers in [8, 7] {
        together(&running, callers).await;
    }
    let before = running.page.steps();
    let of = |callers: u64| {
        let steps = running.page.steps_since(before).into_iter();
        steps.filter(|step| step.bytes == CHOSEN * callers).collect::<Vec<_>>()
    };
    let newcomer = async {
        until(async || of(7).len() > 10).await;
        running.ask().await
    };
    let (_, (status, body)) = join(together(&running, 7), newcomer).await;
    assert_eq!(status, 200, "{body}");
    assert!(of(8).len() > 10, "it did not come while the others spoke");
    for step in [of(7), of(8)].concat() {
        assert_eq!(step.of(Count::Graphs), 1, "{step:?}");
    }
}

/// The same of two layers, whether one or eight are answered.
#[tokio::test]
async fn a_step_of_voxtral() {
    let options = json!({"max_new_tokens": 200});
    let running = Setup::hearing(&[HOPPER], &checkout("tests/fixtures/voxtral"), &options).start();
    running.load().await;
    let expected = Work { graphs: 1, products: 9, launches: 12, allocations: 0, to_device: 2, syncs: 0 };
    assert_eq!(usual(&running, 1, CHOSEN).await, expected);
    assert_eq!(usual(&running, 8, CHOSEN).await, expected);
}

/// Those who wait while one is heard are heard together.
#[tokio::test]
async fn windows_of_several_requests_are_encoded_in_one_pass() {
    let running = Setup::new(&[HOPPER]).start();
    running.load().await;
    let before = running.page.steps();
    assert_eq!(running.ask().await.0, 200);
    let one = most(&running, before);

    let before = running.page.steps();
    together(&running, 8).await;
    let seven = most(&running, before);
    // What is each row's is its memory and what becomes of its logits.
    assert!(seven > one && seven < 3 * one, "{seven} launches and products for seven windows, {one} for one");
}

/// A step of one and of eight, with so many bytes of what was chosen for each.
async fn asks(running: &Running, chosen: u64, expected: Work) {
    for callers in [1, 8] {
        assert_eq!(usual(running, callers, chosen).await, expected, "{callers} callers");
    }
}

/// So many are heard together: all others wait by the time that the launches of the first one's encoder may go on.
async fn together(running: &Running, callers: usize) {
    running.page.hold(true);
    let others = async {
        until(async || running.page.is_waited_for()).await;
        let asked = join_all((1..callers).map(|_| running.ask()));
        let release = async {
            until(async || running.status().await["queue_depth"] == callers - 1).await;
            running.page.hold(false);
        };
        join(asked, release).await.0
    };
    let (first, others) = join(running.ask(), others).await;
    for (status, body) in others.into_iter().chain([first]) {
        assert_eq!(status, 200, "{body}");
    }
}

async fn until(is: impl AsyncFn() -> bool) {
    for _ in 0..12_000 {
        if is().await {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not come to that within a minute");
}

/// Launches and products of the largest step: one before which the encoder listened.
fn most(running: &Running, before: u64) -> u64 {
    let work = |step: &Step| step.of(Count::Launches) + step.of(Count::Products);
    running.page.steps_since(before).iter().map(work).max().expect("a step")
}

/// What most steps ask in which so many callers are at once in the decoder, with so many bytes of what was chosen for each.
async fn usual(running: &Running, callers: usize, chosen: u64) -> Work {
    let before = running.page.steps();
    together(running, callers).await;
    let steps = running.page.steps_since(before);
    let mut kinds = BTreeMap::<Work, usize>::new();
    for step in steps.iter().filter(|step| step.bytes == chosen * callers as u64) {
        *kinds.entry(Work::of(step)).or_default() += 1;
    }
    let (usual, times) = kinds.into_iter().max_by_key(|(_, times)| *times).expect("no step was for all of them");
    assert!(times > 100, "only {times} steps were of a kind");
    usual
}

// === impl Work ===

impl Work {
    fn of(step: &Step) -> Self {
        Self {
            graphs: step.of(Count::Graphs),
            products: step.of(Count::Products),
            launches: step.of(Count::Launches),
            allocations: step.of(Count::Allocations),
            to_device: step.of(Count::ToDevice),
            syncs: step.of(Count::Syncs),
        }
    }
}
