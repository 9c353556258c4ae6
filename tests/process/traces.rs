//! Traces, as a collector gets them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value::Value::StringValue,
    trace::v1::{ResourceSpans, Span, span::SpanKind},
};
use prost::Message;
use tempfile::TempDir;

use crate::{
    program::{Program, sconce},
    support::{hub::Hub, publish_nano, recording, server::form},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// What takes spans in, on a thread that lives as long as the test.
struct Collector {
    url: String,
    batches: mpsc::Receiver<ResourceSpans>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, batches) = mpsc::sync_channel(1000);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let sender = sender.clone();
                std::thread::spawn(move || serve(stream.unwrap(), &sender));
            }
        });
        Self { url, batches }
    }

    /// What arrived so far.
    fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for batch in self.batches.try_iter() {
            let resource = batch.resource.unwrap();
            let service = resource.attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
            let name = service.value.clone().unwrap().value.unwrap();
            assert_eq!(name, StringValue("ears".to_owned()));
            spans.extend(batch.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
        spans
    }
}

/// Answers the requests of one connection.
fn serve(mut stream: TcpStream, batches: &mpsc::SyncSender<ResourceSpans>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            match line.trim() {
                "" => break,
                line => head.push(line.to_lowercase()),
            }
        }
        assert!(head[0].starts_with("post /v1/traces "), "{head:?}");
        let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        request.resource_spans.into_iter().for_each(|batch| batches.send(batch).unwrap());
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    }
}

fn one<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let names = || spans.iter().map(|span| span.name.as_str()).collect::<Vec<_>>();
    let mut found = spans.iter().filter(|span| span.name == name);
    let one = found.next().unwrap_or_else(|| panic!("there is no {name} among {:?}", names()));
    assert!(found.next().is_none(), "there is more than one {name} among {:?}", names());
    one
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let value = span.attributes.iter().find(|attribute| attribute.key == key)?.value.clone()?.value?;
    Some(match value {
        StringValue(text) => text,
        other => format!("{other:?}"),
    })
}

async fn transcribe(program: &Program) {
    let form = form(recording("turn-on-the-kitchen-lights.wav"), "acme/nano", &[]);
    let request = reqwest::Client::builder().no_proxy().build().unwrap().post(program.url("/v1/audio/transcriptions"));
    let request = request.header("traceparent", format!("00-{TRACE}-{CALLER}-01")).header("x-request-id", "mine-7");
    let answer = request.multipart(form).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["x-request-id"]), (200, &"mine-7".parse().unwrap()));
}

#[tokio::test]
async fn each_phase_of_a_request_is_a_span_below_the_callers() {
    let (collector, hub, cache) = (Collector::start(), Hub::start(), TempDir::new().unwrap());
    publish_nano(&hub, "acme/nano");
    let mut command = sconce(&cache);
    command.env("PORT", "0").env("HF_ENDPOINT", hub.url()).env("MODEL_ID", "acme/nano");
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url).env("OTEL_SERVICE_NAME", "ears");
    let mut program = Program::start(command.env("LOG_LEVEL", "info,sconce::http=debug"));
    transcribe(&program).await;
    let line = program.line("answered");
    assert_eq!((&line["request_id"], &line["trace_id"]), (&"mine-7".into(), &TRACE.into()));
    program.terminate();
    assert_eq!(program.ended().code(), Some(0));

    let spans = collector.spans();
    let request = one(&spans, "POST /v1/audio/transcriptions");
    assert_eq!((hex::encode(&request.trace_id), hex::encode(&request.parent_span_id)), (TRACE.into(), CALLER.into()));
    assert_eq!(request.kind, SpanKind::Server as i32);
    assert_eq!(attribute(request, "request_id").as_deref(), Some("mine-7"));
    assert_eq!(attribute(request, "http.response.status_code").as_deref(), Some("IntValue(200)"));
    let phases = ["wait", "decode", "queue", "inference"].map(|name| one(&spans, name));
    for phase in phases {
        assert_eq!(phase.trace_id, request.trace_id, "{}", phase.name);
        assert_eq!(phase.parent_span_id, request.span_id, "{}", phase.name);
        assert!(phase.start_time_unix_nano >= request.start_time_unix_nano, "{}", phase.name);
        assert!(phase.end_time_unix_nano <= request.end_time_unix_nano, "{}", phase.name);
    }
    assert!(phases.is_sorted_by_key(|phase| phase.start_time_unix_nano));
    // They belong to the server, not to the request that happened to be the first.
    for name in ["download", "load"] {
        let span = one(&spans, name);
        assert!(span.parent_span_id.is_empty() && span.trace_id != request.trace_id, "{name}");
        assert_eq!(attribute(span, "model").as_deref(), Some("acme/nano"));
    }
}

#[tokio::test]
async fn a_caller_that_does_not_sample_is_obeyed() {
    let (collector, cache) = (Collector::start(), TempDir::new().unwrap());
    let mut command = sconce(&cache);
    command.env("PORT", "0").env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url).env("OTEL_SERVICE_NAME", "ears");
    let mut program = Program::start(&mut command);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for flags in ["00", "01"] {
        let parent = format!("00-{TRACE}-{CALLER}-{flags}");
        client.get(program.url("/v1/models")).header("traceparent", parent).send().await.unwrap();
    }
    program.terminate();
    program.ended();
    let spans = collector.spans();
    assert_eq!(one(&spans, "GET /v1/models").trace_id, hex::decode(TRACE).unwrap());
}

#[tokio::test]
async fn a_collector_that_is_not_there_disturbs_nobody() {
    let cache = TempDir::new().unwrap();
    let mut command = sconce(&cache);
    command.env("PORT", "0").env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    let mut program = Program::start(&mut command);
    let answer = reqwest::get(program.url("/v1/models")).await.unwrap();
    assert_eq!(answer.status(), 200);
    program.terminate();
    assert_eq!(program.ended().code(), Some(0));
}
