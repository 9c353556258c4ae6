//! Where log lines go, and how they look.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, IsTerminal},
    panic,
    sync::OnceLock,
    thread,
};

use serde_json::Value;
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::ParseError,
    fmt::{
        self, FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::{Format, Json, Writer},
    },
    registry::LookupSpan,
    reload,
};

use super::{Config, LogFormat};

/// Libraries that tell of every file and every thread as if it were news, and of recordings that are none, and connections
/// that speak no HTTP or break off, as if that were our fault: their senders are told, and anybody could fill the log. A
/// filter that names one overrides this.
const QUIET: &str = "symphonia=off,actix_server=warn,actix_http::h1::dispatcher=off,actix_http::h2::dispatcher=off,\
                     xet_client=error,xet_data=error,xet_runtime=error";

/// The field that names a model.
const MODEL: &str = "model";

/// Which lines go through. It belongs to the process, like standard error itself.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Lines of JSON, in which what is about a model names it: by itself, or by the span that it happens in.
struct NamingModels(Format<Json>);

/// Log lines on standard error. [`set_level`] is about the first layer that was made.
pub(super) fn layer(config: &Config) -> Result<impl Layer<Registry> + use<>, ParseError> {
    let (filter, handle) = reload::Layer::new(filter(&config.log_level)?);
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = if pretty(config.log_format) {
        lines.with_target(false).boxed()
    } else {
        lines.json().flatten_event(true).with_current_span(false).map_event_format(NamingModels).boxed()
    };
    let _ = FILTER.set(handle);
    Ok(lines.with_filter(filter))
}

/// A panic is a line like any other from now on: programs that read the log would stumble over its usual text.
pub(super) fn take_panics() {
    panic::set_hook(Box::new(|panic| {
        let (thread, backtrace) = (thread::current(), Backtrace::capture());
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        let (location, detail) = (panic.location().map(ToString::to_string), panic.payload_as_str());
        tracing::error!(thread = thread.name(), location, detail, backtrace, "panic");
    }));
}

/// Lets other lines through from now on. The configuration has checked the text.
pub fn set_level(level: &str) {
    if let (Some(handle), Ok(filter)) = (FILTER.get(), filter(level)) {
        // It fails only when nobody logs any more.
        let _ = handle.reload(filter);
    }
}

// === impl NamingModels ===

impl<S, N> FormatEvent<S, N> for NamingModels
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let names_one = event.metadata().fields().field(MODEL).is_some();
        let Some(model) = model_of(context).filter(|_| !names_one) else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        match line.trim_end().strip_suffix('}') {
            Some(object) => writeln!(writer, "{object},\"{MODEL}\":{model}}}"),
            None => writer.write_str(&line),
        }
    }
}

/// The model that a span around the event names, the innermost one's, as JSON.
fn model_of<S, N>(context: &FmtContext<'_, S, N>) -> Option<Value>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    context.event_scope()?.find_map(|span| {
        let extensions = span.extensions();
        let fields: Value = serde_json::from_str(extensions.get::<FormattedFields<N>>()?).ok()?;
        fields.get(MODEL).cloned()
    })
}

fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(format!("{QUIET},{level}"))
}

fn pretty(format: LogFormat) -> bool {
    match format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    }
}
