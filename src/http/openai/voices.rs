//! `/v1/audio/voices`: recordings of speakers, for families that speak with a voice they were shown.

use std::time::UNIX_EPOCH;

use actix_web::{HttpRequest, HttpResponse, web};

use super::bodies::{Named, Voice, VoiceDeleted, VoiceForm, VoiceOrigin, Voices};
use crate::{
    catalog::Entry,
    http::{
        api::Api,
        body::{self, Shape},
        form::Form,
        problem::Problem,
    },
    model::{Availability, OwnVoice},
    service,
    speech::Kind,
};

const KNOWN: &str = "name, audio_sample, transcript, consent and type";

/// All voices: recordings by name, then those that models have themselves.
#[utoipa::path(get, path = "/v1/audio/voices", operation_id = "voices", tag = "OpenAI", responses((status = 200, body = Voices)))]
pub(super) async fn list(api: web::Data<Api>) -> HttpResponse {
    match api.service.voices().list().await {
        Ok(voices) => {
            let data: Vec<Voice> = voices.into_iter().map(voice).chain(own_voices(&api)).collect();
            let named = |voice: &Voice| Named { id: voice.id.clone(), name: voice.name.clone() };
            let voices = data.iter().map(named).collect();
            HttpResponse::Ok().json(Voices { object: "list", data, voices })
        }
        Err(error) => Problem::from(error).openai(),
    }
}

/// Adds a voice. An administrative route.
#[utoipa::path(
    post, path = "/v1/audio/voices", operation_id = "create_voice", tag = "OpenAI",
    request_body(content = VoiceForm, content_type = "multipart/form-data"),
    responses((status = 200, body = Voice)),
)]
pub(super) async fn create(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    match add(&api, &request, payload).await {
        Ok(added) => HttpResponse::Ok().json(voice(added)),
        Err(problem) => problem.openai(),
    }
}

/// Removes a voice. An administrative route.
#[utoipa::path(
    delete, path = "/v1/audio/voices/{name}", operation_id = "delete_voice", tag = "OpenAI",
    params(("name" = String, Path, description = "The name of the voice")),
    responses((status = 200, body = VoiceDeleted)),
)]
pub(super) async fn delete(api: web::Data<Api>, request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    match remove(&api, &request, name.into_inner()).await {
        Ok(id) => HttpResponse::Ok().json(VoiceDeleted { id, object: "audio.voice.deleted", deleted: true }),
        Err(problem) => problem.openai(),
    }
}

async fn add(api: &Api, request: &HttpRequest, payload: web::Payload) -> Result<service::Voice, Problem> {
    api.administer(request)?;
    let body = body::read(request, payload, api).await?;
    let Shape::Form = body.shape() else {
        return Err(body.not_taken("multipart/form-data, with the fields name and audio_sample"));
    };
    let mut form = Form::read(api, request, body).await?;
    if let Some(other) = form.text("type")?.filter(|kind| kind != "audio_sample") {
        let message = format!("a voice of the type {other:?} cannot be made here; type can be audio_sample");
        return Err(Problem::new(Kind::Unsupported, message).about("type"));
    }
    let notes = service::VoiceNotes { transcript: form.text("transcript")?, consent: form.text("consent")? };
    let name = form.text("name")?.ok_or_else(|| Problem::invalid("name", "the field name is missing"))?;
    let sample = form.recording("audio_sample")?;
    form.finish(KNOWN)?;
    Ok(api.service.voices().add(name, sample, notes).await?)
}

async fn remove(api: &Api, request: &HttpRequest, name: String) -> Result<String, Problem> {
    api.administer(request)?;
    api.service.voices().remove(name.clone()).await?;
    Ok(name)
}

/// Of the models that the configuration names and those inside this program, as far as their family is known: that of a
/// model of one's own is once it was loaded.
fn own_voices(api: &Api) -> Vec<Voice> {
    let (catalog, snapshot) = (api.service.catalog(), api.service.lifecycle().snapshot());
    let learned = |entry: &Entry| {
        let name = snapshot.model(&entry.name)?.family?;
        catalog.families().iter().copied().find(|family| family.name() == name)
    };
    let available = catalog.at_hand().filter(|entry| entry.availability == Availability::Available);
    let voices = available.flat_map(|entry| {
        let learned = || learned(entry).map(|family| family.voices().to_vec()).unwrap_or_default();
        let own = Some(entry.own_voices()).filter(|own| !own.is_empty()).unwrap_or_else(learned);
        own.into_iter().map(|voice| own_voice(entry, &voice))
    });
    voices.collect()
}

fn own_voice(entry: &Entry, voice: &OwnVoice<'_>) -> Voice {
    Voice {
        id: voice.name.to_owned(),
        object: "audio.voice",
        name: voice.name.to_owned(),
        origin: VoiceOrigin::Model,
        r#type: "model",
        model: Some(entry.name.to_string()),
        languages: Some(voice.languages.iter().map(ToString::to_string).collect()),
        created_at: None,
        duration: None,
        sample_rate: voice.sample_rate,
    }
}

fn voice(voice: service::Voice) -> Voice {
    let created = voice.created.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Voice {
        id: voice.name.clone(),
        object: "audio.voice",
        name: voice.name,
        origin: VoiceOrigin::Folder,
        r#type: "audio_sample",
        model: None,
        languages: None,
        created_at: Some(created),
        duration: Some(voice.seconds),
        sample_rate: voice.sample_rate,
    }
}
