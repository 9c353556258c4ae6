use serde_json::json;

use super::*;
use crate::{jobs::record::Recording, speech::Problem};

const KEEP: Duration = Duration::from_secs(100);

fn limits() -> Limits {
    Limits { keep: KEEP, max_count: 3, max_bytes: 10, attempts: 2, at_once: 1 }
}

fn request(bytes: usize) -> JobRequest {
    let recording = Some(Recording { bytes: vec![0; bytes].into(), hint: None });
    JobRequest { parameters: json!({}), recording, webhook: None, key: None, estimate: None, room: 0 }
}

fn take(table: &mut JobTable, request: &JobRequest, now: Timestamp) -> Result<JobId, Refusal> {
    take_for(None, table, request, now)
}

/// Takes a request in, as the manager does.
fn take_for(owner: Option<&str>, table: &mut JobTable, request: &JobRequest, now: Timestamp) -> Result<JobId, Refusal> {
    match table.admit(request, owner, now)? {
        Admission::Known(id) => Ok(id),
        Admission::New { record, forgotten } => {
            forgotten.iter().for_each(|id| table.forget(id));
            let id = record.id.clone();
            table.insert(*record);
            Ok(id)
        }
    }
}

fn happen(table: &mut JobTable, id: &JobId, event: JobEvent, now: Timestamp) {
    let record = table.after(id, event, now).unwrap();
    table.put(record);
}

fn finish(table: &mut JobTable, id: &JobId, now: Timestamp) {
    happen(table, id, JobEvent::Start, now);
    happen(table, id, JobEvent::Done, now);
}

#[test]
fn the_first_to_come_is_the_first_begun_unless_it_has_to_wait() {
    let (mut table, now) = (JobTable::new(limits(), vec![]), Timestamp::now());
    let first = take(&mut table, &request(1), now).unwrap();
    let second = take(&mut table, &request(1), now.after(Duration::from_millis(1))).unwrap();
    let now = now.after(Duration::from_millis(2));
    assert_eq!(table.next_to_start(now), Some(first.clone()));
    happen(&mut table, &first, JobEvent::Start, now);
    happen(&mut table, &first, JobEvent::Later { after: Duration::from_secs(9), reason: String::new() }, now);
    assert_eq!(table.next_to_start(now), Some(second.clone()));
    happen(&mut table, &second, JobEvent::Start, now);
    assert_eq!((table.next_to_start(now), table.wake(now)), (None, Some(now.after(Duration::from_secs(9)))));
    assert_eq!(table.next_to_start(now.after(Duration::from_secs(9))), Some(first));
}

#[test]
fn live_jobs_stay_and_finished_ones_make_room() {
    let (mut table, now) = (JobTable::new(limits(), vec![]), Timestamp::now());
    let ids: Vec<_> = (0..3).map(|_| take(&mut table, &request(3), now).unwrap()).collect();
    assert_eq!(take(&mut table, &request(1), now), Err(Refusal::Full { held: 3 }));
    finish(&mut table, &ids[2], now);
    finish(&mut table, &ids[0], now.after(Duration::from_secs(1)));
    take(&mut table, &request(1), now).unwrap();
    assert!(table.record(&ids[2]).is_none() && table.record(&ids[0]).is_some(), "the first to end is the first to go");
    assert_eq!(take(&mut table, &request(7), now), Err(Refusal::NoRoom { held: 4, limit: 10 }));
    assert!(table.record(&ids[0]).is_some(), "nobody goes for one that is refused");
    assert_eq!(take(&mut table, &request(11), now), Err(Refusal::TooLarge { bytes: 11, limit: 10 }));
}

#[test]
fn what_is_kept_long_enough_goes() {
    let (mut table, now) = (JobTable::new(limits(), vec![]), Timestamp::now());
    let id = take(&mut table, &request(1), now).unwrap();
    assert_eq!(table.outlived(now.after(KEEP * 2)), [], "it has not even begun");
    finish(&mut table, &id, now);
    assert_eq!((table.outlived(now), table.wake(now)), (vec![], Some(now.after(KEEP))));
    assert_eq!(table.outlived(now.after(KEEP)), [id]);
}

#[test]
fn results_that_take_too_much_go_by_age() {
    let (mut table, now) = (JobTable::new(limits(), vec![]), Timestamp::now());
    let ids: Vec<_> = (0..2).map(|_| take(&mut table, &request(1), now).unwrap()).collect();
    for (after, id) in ids.iter().enumerate() {
        finish(&mut table, id, now.after(Duration::from_secs(after as u64)));
        let record = Record { bytes: 8, ..table.record(id).unwrap().clone() };
        table.put(record);
    }
    assert_eq!(table.outlived(now.after(Duration::from_secs(2))), [ids[0].clone()]);
}

#[test]
fn the_same_key_is_the_same_job_and_never_another_one() {
    let (mut table, now) = (JobTable::new(limits(), vec![]), Timestamp::now());
    let with = |key: &str, bytes| JobRequest { key: Some(key.into()), ..request(bytes) };
    let id = take(&mut table, &with("a", 1), now).unwrap();
    assert_eq!(take(&mut table, &with("a", 1), now).as_ref(), Ok(&id));
    assert_ne!(take(&mut table, &with("b", 1), now).as_ref(), Ok(&id));
    assert_eq!(take(&mut table, &with("a", 2), now), Err(Refusal::KeyReused));
}

#[test]
fn lists_are_newest_first_filtered_and_bounded() {
    let (mut table, now) = (JobTable::new(limits(), vec![]), Timestamp::now());
    let ids: Vec<_> =
        (0..3).map(|n| take(&mut table, &request(1), now.after(Duration::from_millis(n))).unwrap()).collect();
    happen(&mut table, &ids[1], JobEvent::Start, now);
    let list = |phase, limit| {
        table.list(&Principal::ANYBODY, phase, limit).into_iter().map(|view| view.id).collect::<Vec<_>>()
    };
    assert_eq!(list(None, 2), [ids[2].clone(), ids[1].clone()]);
    assert_eq!(list(Some(Phase::Queued), 9), [ids[2].clone(), ids[0].clone()]);
}

#[test]
fn who_has_a_name_sees_their_own_jobs_and_who_may_sees_all() {
    let (mut table, now) = (JobTable::new(limits(), vec![]), Timestamp::now());
    let request = JobRequest { key: Some("k".into()), ..request(1) };
    let [ann, bob] = ["ann", "bob"].map(|owner| take_for(Some(owner), &mut table, &request, now).unwrap());
    assert_ne!(ann, bob, "an Idempotency-Key is its owner's");
    let nobody = take(&mut table, &request, now).unwrap();
    let principal = |name: Option<&str>, sees_all| Principal { name: name.map(str::to_owned), sees_all };
    for (principal, seen) in [
        (principal(Some("ann"), false), vec![&ann]),
        (principal(Some("eve"), false), vec![]),
        (principal(None, false), vec![]),
        (principal(Some("eve"), true), vec![&ann, &bob, &nobody]),
    ] {
        for id in [&ann, &bob, &nobody] {
            assert_eq!(table.view(&principal, id).is_some(), seen.contains(&id), "{principal:?}");
            assert_eq!(table.feed(&principal, id).is_some(), seen.contains(&id), "{principal:?}");
        }
        assert_eq!(table.list(&principal, None, 9).len(), seen.len(), "{principal:?}");
    }
}

#[test]
fn a_webhook_is_due_at_the_end_and_given_up_after_six_tries() {
    let (mut table, now) = (JobTable::new(limits(), vec![]), Timestamp::now());
    let id = take(&mut table, &JobRequest { webhook: Some("http://a".into()), ..request(1) }, now).unwrap();
    assert_eq!(table.to_deliver(now).count(), 0);
    happen(&mut table, &id, JobEvent::Start, now);
    happen(&mut table, &id, JobEvent::Failed(Problem::new(crate::speech::Kind::Invalid, "no")), now);
    assert!(matches!(table.record(&id).unwrap().state, State::Failed { .. }));
    assert_eq!(table.to_deliver(now).count(), 1);
    let (mut delivery, mut waits) = (delivery_after(0, false, now), vec![]);
    while let Delivery::Pending { tries, due } = delivery {
        waits.push(due.since(now).as_secs());
        delivery = delivery_after(tries, false, now);
    }
    assert_eq!((waits, delivery), (vec![1, 5, 25, 125, 625], Delivery::GivenUp));
    assert_eq!(delivery_after(3, true, now), Delivery::Delivered);
}

#[test]
fn who_waits_is_told_its_place_and_when_it_may_be_done() {
    let limits = Limits { max_count: 10, max_bytes: 100, at_once: 2, ..limits() };
    let (mut table, now) = (JobTable::new(limits, vec![]), Timestamp::now());
    let later = |milliseconds| now.after(Duration::from_millis(milliseconds));
    let ids: Vec<_> = (0..4).map(|at| take(&mut table, &request(1), later(at)).unwrap()).collect();
    let turn = |table: &JobTable, id: &JobId| table.view(&Principal::ANYBODY, id).unwrap().turn;
    assert_eq!(turn(&table, &ids[3]), Some(Turn { position: 4, eta: None }));

    happen(&mut table, &ids[0], JobEvent::Start, now);
    happen(&mut table, &ids[0], JobEvent::Done, later(6000));
    assert_eq!(turn(&table, &ids[0]), None);
    let turns: Vec<_> = ids[1..].iter().map(|id| turn(&table, id).unwrap()).collect();
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(
        turns.iter().map(|turn| (turn.position, turn.eta)).collect::<Vec<_>>(),
        [(1, seconds(6)), (2, seconds(6)), (3, seconds(12))]
    );
    let listed = table.list(&Principal::ANYBODY, Some(Phase::Queued), 1);
    assert_eq!(listed[0].turn.unwrap().position, 3, "newest first");
}
