use super::*;
use serde_json::json;

/// Of a model that does these.
fn request_to(tasks: &[TaskKind], value: Value) -> Result<NativeRequest, Problem> {
    let can = |_: Option<&str>, task| tasks.contains(&task);
    NativeRequest::read_where(can, fields::object(value)?, None, &Content::default(), &Unknown::default())
}

fn request(value: Value) -> Result<NativeRequest, Problem> {
    request_to(&TaskKind::ALL, value)
}

#[test]
fn an_unknown_field_is_named_with_those_that_there_are() {
    let problem = request(json!({"audio": "", "langauge": "en"})).unwrap_err();
    assert_eq!(problem.param.as_deref(), Some("langauge"));
    for known in ["audio", "keep_alive", "language", "task", "timestamps"] {
        assert!(problem.message.contains(known), "{problem}");
    }
}

#[test]
fn a_wrong_value_is_told_with_its_field() {
    for (wrong, field) in [
        (json!({"wait": "soon"}), "wait"),
        (json!({"task": "sing"}), "task"),
        (json!({"task": "tts"}), "task"),
        (json!({"model": "one", "model_type": "other"}), "model_type"),
        (json!({"temperature": 7}), "temperature"),
    ] {
        let problem = request(wrong).unwrap_err();
        assert_eq!(problem.param.as_deref(), Some(field), "{problem}");
    }
}

#[test]
fn the_fields_and_the_model_say_the_task() {
    let task = |tasks: &[TaskKind], value| request_to(tasks, value).unwrap().task();
    let audio = json!({"audio": "UklGRg=="});
    assert_eq!(task(&TaskKind::ALL, audio.clone()), TaskKind::Transcribe);
    assert_eq!(task(&[TaskKind::Convert], audio.clone()), TaskKind::Convert);
    assert_eq!(task(&[TaskKind::Synthesize], audio), TaskKind::Transcribe, "which the service refuses");
    assert_eq!(task(&[TaskKind::Transcribe], json!({"audio": "", "voice": "anna"})), TaskKind::Convert);
    assert_eq!(task(&[TaskKind::Transcribe], json!({"text": "hello"})), TaskKind::Synthesize);
}

#[test]
fn a_field_of_another_task_is_refused_by_name() {
    for (wrong, field) in [
        (json!({"text": "hello", "timestamps": "word"}), "timestamps"),
        (json!({"text": "hello", "response_format": "srt"}), "response_format"),
        (json!({"text": "hello", "speed": 0}), "speed"),
        (json!({"text": "hello", "sample_rate": 1}), "sample_rate"),
        (json!({"audio": "", "voice": "anna", "speed": 1}), "speed"),
        (json!({"audio": "", "response_format": "mp3"}), "response_format"),
        (json!({"audio": "", "response_format": "midi"}), "response_format"),
    ] {
        let problem = request(wrong.clone()).unwrap_err();
        assert_eq!(problem.param.as_deref(), Some(field), "{wrong}: {problem}");
    }
}
