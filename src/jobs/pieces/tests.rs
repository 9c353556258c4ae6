use serde_json::json;

use super::{
    super::{
        progress::{Event, Feed},
        state::Phase,
        timestamp::Timestamp,
    },
    *,
};
use crate::speech::SpeechProgress;

/// Of a job whose manager is not there.
fn pieces(progress_state: &watch::Sender<ProgressState>) -> Pieces {
    let (keeper, _) = mpsc::channel(1);
    Pieces::new(progress_state.clone(), JobId::new(Timestamp::now()), keeper)
}

#[tokio::test]
async fn what_the_model_tells_is_an_event_and_the_newest_of_it_is_enough() {
    let progress_state = ProgressState::new(Phase::Running);
    let (mut reader, pieces) = (Feed::new(progress_state.subscribe()), pieces(&progress_state));
    assert_eq!(reader.next().await, Some(Event::Phase(Phase::Running)));
    let told = |done| Progress::from(SpeechProgress { done, sections: 3, ..SpeechProgress::default() });
    pieces.reach(Progress::default());
    pieces.report(told(1));
    pieces.report(told(2));
    assert_eq!(reader.next().await, Some(Event::Progress(told(2))));
    progress_state.send_modify(|progress_state| progress_state.turn(Phase::Succeeded));
    assert_eq!(reader.next().await, Some(Event::Phase(Phase::Succeeded)), "nothing is told twice");
    pieces.checkpoint(Bytes::from_static(b"nobody keeps it")).await;
}

#[tokio::test]
async fn a_sound_is_there_as_far_as_it_was_made_and_gone_in_a_new_round() {
    let progress_state = ProgressState::new(Phase::Running);
    let (reader, pieces) = (Feed::new(progress_state.subscribe()), pieces(&progress_state));
    assert_eq!(reader.sound(None), None);
    pieces.sound("audio/wav", false, Some("vocals"), Bytes::from_static(b"la"));
    pieces.sound("audio/wav", true, Some("mix"), Bytes::from_static(b"RI"));
    pieces.sound("audio/wav", true, Some("mix"), Bytes::from_static(b"FF"));
    for name in [None, Some("mix")] {
        assert_eq!(reader.sound(name).unwrap().blocks.concat(), b"RIFF");
    }
    assert_eq!(reader.sound(Some("vocals")).unwrap().blocks.concat(), b"la");
    assert_eq!(reader.sound(Some("drums")), None);
    progress_state.send_modify(|progress_state| progress_state.turn(Phase::Queued));
    assert_eq!(reader.sound(None), None);
}

#[tokio::test]
async fn every_reader_gets_every_piece_and_a_new_round_begins_anew() {
    let progress_state = ProgressState::new(Phase::Queued);
    let (mut early, pieces) = (Feed::new(progress_state.subscribe()), pieces(&progress_state));
    assert_eq!(early.next().await, Some(Event::Phase(Phase::Queued)));
    progress_state.send_modify(|progress_state| progress_state.turn(Phase::Running));
    for n in 0..3 {
        pieces.add(Progress { seconds: f64::from(n), of: Some(3.0), ..Progress::default() }, json!(n));
    }
    let mut late = Feed::new(progress_state.subscribe());
    for reader in [&mut early, &mut late] {
        assert_eq!(reader.next().await, Some(Event::Phase(Phase::Running)));
        for n in 0..3 {
            assert_eq!(reader.next().await, Some(Event::Piece(json!(n).into())));
        }
    }
    progress_state.send_modify(|progress_state| progress_state.turn(Phase::Queued));
    progress_state.send_modify(|progress_state| progress_state.turn(Phase::Running));
    pieces.add(Progress { seconds: 1.0, of: Some(3.0), ..Progress::default() }, json!("again"));
    assert_eq!(late.next().await, Some(Event::Phase(Phase::Running)));
    assert_eq!(late.next().await, Some(Event::Piece(json!("again").into())));
    progress_state.send_modify(|progress_state| progress_state.turn(Phase::Succeeded));
    assert_eq!(late.next().await, Some(Event::Phase(Phase::Succeeded)));
    assert_eq!(late.next().await, None);
}

#[tokio::test]
async fn who_reads_slowly_gets_the_last_pieces_before_the_end() {
    let progress_state = ProgressState::new(Phase::Running);
    let (mut reader, pieces) = (Feed::new(progress_state.subscribe()), pieces(&progress_state));
    assert_eq!(reader.next().await, Some(Event::Phase(Phase::Running)));
    for n in 0..3 {
        pieces.add(Progress { seconds: f64::from(n), of: Some(3.0), ..Progress::default() }, json!(n));
    }
    progress_state.send_modify(|progress_state| progress_state.turn(Phase::Succeeded));
    drop((progress_state, pieces));
    for n in 0..3 {
        assert_eq!(reader.next().await, Some(Event::Piece(json!(n).into())));
    }
    assert_eq!(reader.next().await, Some(Event::Phase(Phase::Succeeded)));
    assert_eq!(reader.next().await, None);
}

#[tokio::test]
async fn a_server_that_stops_ends_every_feed() {
    let progress_state = ProgressState::new(Phase::Queued);
    let mut reader = Feed::new(progress_state.subscribe());
    assert_eq!(reader.next().await, Some(Event::Phase(Phase::Queued)));
    progress_state.send_modify(|progress_state| progress_state.closing = true);
    assert_eq!(reader.next().await, None);
}
