//! `{"instances": […], "parameters": {…}}` → `{"predictions": […]}`, one for each instance, in order.

use actix_web::{HttpRequest, HttpResponse};
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use super::action;
use crate::{
    http::{
        api::Api,
        native::{
            content::Content,
            delivery::{Delivery, output_uri},
            events::{self, AT_ONCE},
            fields::{self, Fields},
            item::Item,
            prediction::Prediction,
            request::NativeRequest,
        },
        problem::Problem,
        unknown::Unknown,
    },
    speech::Kind,
};

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Envelope {
    /// What is to be done, at least one.
    #[schema(value_type = Vec<NativeRequest>)]
    instances: Vec<Value>,
    /// For all instances that do not say otherwise; and `output_uri`, `stream` and `action`, which are the request's.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    parameters: Option<Fields>,
}

/// Instances of a request with an action, at most. It is done once, and told to each of them: Vertex AI wants a
/// prediction for each instance.
const MOST_OF_ACTION: usize = 8;

/// One for each instance.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub(super) struct Predictions {
    /// `{"text", "language", "duration", "model", "segments"}`, a text in another `response_format`,
    /// `{"audio": {"content", "mime_type", "sample_rate", "duration"}, "model", "seed"}`, `{"uri"}` where the answer was
    /// written, or `{"error"}`.
    predictions: Vec<Value>,
}

/// What holds for all instances. It is there once, however many they are.
struct Defaults {
    fields: Fields,
    content: Content,
    delivery: Delivery,
}

pub(super) async fn answer(api: &Api, request: &HttpRequest, mut value: Value) -> Result<HttpResponse, Problem> {
    let unknown = Unknown::of(request);
    unknown.leave_out::<Envelope>(&mut value);
    let Envelope { mut instances, parameters } =
        serde_json::from_value(value).map_err(|error| Problem::invalid("instances", error.to_string()))?;
    check_count(instances.len(), api.config.max_instances)?;
    let parameters = parameters.unwrap_or_default();
    if parameters.contains_key("action") {
        if instances.len() > MOST_OF_ACTION {
            let message = format!("an action is done once; send it with one instance, or at most {MOST_OF_ACTION}");
            return Err(Problem::invalid("instances", message));
        }
        let (status, outcome) = action::perform(api, request, parameters).await?;
        return Ok(HttpResponse::build(status).json(Predictions { predictions: vec![outcome; instances.len()] }));
    }
    let mut defaults = Defaults::of(parameters)?;
    NativeRequest::leave_out_unknown(&unknown, &mut defaults.fields);
    for fields in instances.iter_mut().filter_map(Value::as_object_mut) {
        NativeRequest::leave_out_unknown(&unknown, fields);
    }
    let (request, reading) = (request.clone(), api.clone());
    let as_events = defaults.delivery.stream || events::accepted(&request);
    // Made one by one as their turn comes.
    let instances = instances.into_iter().enumerate();
    let items = instances.map(move |(place, instance)| item(&reading, &request, place, instance, &defaults));
    if as_events {
        return events::envelope(api.clone(), items).await;
    }
    predictions(predict(api, items).await)
}

fn check_count(count: usize, most: usize) -> Result<(), Problem> {
    match count {
        0 => Err(Problem::invalid("instances", "instances is empty; send at least one")),
        _ if count > most => {
            let message = format!("there are {count} instances; `limits.max_instances` allows {most} in a request");
            Err(Problem::new(Kind::TooLarge, message).about("instances"))
        }
        _ => Ok(()),
    }
}

// === impl Defaults ===

impl Defaults {
    fn of(mut parameters: Fields) -> Result<Self, Problem> {
        let delivery = Delivery::take(&mut parameters)?;
        let content = Content::take(&mut parameters)?;
        Ok(Self { fields: parameters, content, delivery })
    }
}

fn item(api: &Api, request: &HttpRequest, place: usize, instance: Value, defaults: &Defaults) -> Result<Item, Problem> {
    let mut fields = fields::object(instance)?;
    let own = output_uri(&mut fields)?;
    let output = |native: &NativeRequest| own.or_else(|| defaults.delivery.output_of(place, native.extension()));
    Item::new(api, request, fields::merge(fields, defaults.fields.clone()), None, &defaults.content, output)
}

async fn predict(api: &Api, items: impl Iterator<Item = Result<Item, Problem>>) -> Vec<Result<Prediction, Problem>> {
    let work = items.map(|item| async move { item?.predict(api).await });
    stream::iter(work).buffered(AT_ONCE).collect().await
}

/// One bad instance does not fail the others; when none is good, the first one's failure is the whole answer's, so that
/// a caller of a loading model sees its 503.
fn predictions(answers: Vec<Result<Prediction, Problem>>) -> Result<HttpResponse, Problem> {
    if let Some(Err(first)) = answers.first()
        && answers.iter().all(Result::is_err)
    {
        return Err(first.clone());
    }
    let shown = |answer: Result<Prediction, Problem>| {
        answer.map_or_else(|problem| json!({"error": problem.google_body()}), Prediction::into_json)
    };
    Ok(HttpResponse::Ok().json(Predictions { predictions: answers.into_iter().map(shown).collect() }))
}
