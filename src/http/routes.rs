//! Every route, under the layers that hold for all of them.

use actix_cors::Cors;
use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::MessageBody,
    dev::{HttpServiceFactory, ServiceRequest, ServiceResponse},
    http::{
        Method, Uri,
        header::{self, HeaderName, HeaderValue},
    },
    middleware::{self, Next},
    web,
};

use super::{
    admin, api::Api, asr, asyncapi, azure, console, docs, exchange, generate, jobs, methods, oip, openai, openapi,
    problem::Problem, realtime, request_id, served, unknown, vertex, vosk,
};
use crate::speech::Kind;

/// Which replica answered.
const SERVER: HeaderName = HeaderName::from_static("x-sconce-server");

/// Every route, under the layers that hold for all of them; the last is the outermost.
pub fn routes(api: Api) -> impl HttpServiceFactory {
    let (health, predict) = (api.config.health_route.clone(), api.config.predict_route.clone());
    let name = HeaderValue::try_from(&api.name).unwrap_or_else(|_| HeaderValue::from_static("sconce"));
    let (gate, cors) = (api.gate.clone(), cors(&api.config.cors_origins));
    let (with_console, unknown_fields) = (api.config.console, api.config.unknown_fields);
    let (draining, at_the_end, to_routes) = (api.draining.clone(), api.gate.clone(), api.gate.clone());
    web::scope("")
        .wrap(middleware::from_fn(move |request, next| {
            let gate = to_routes.clone();
            async move { methods::layer(gate.routes(), request, next).await }
        }))
        .wrap(middleware::from_fn(served::layer))
        .wrap(middleware::from_fn(move |request, next| unknown::layer(unknown_fields, request, next)))
        .wrap(middleware::from_fn(move |request, next| gate.clone().pass(request, next)))
        // Outside of the gate: a preflight has no key, and a page may read why it was refused.
        .wrap(middleware::Condition::new(!api.config.cors_origins.is_empty(), cors))
        .wrap(middleware::from_fn(console::layer))
        .wrap(middleware::from_fn(request_id::layer))
        .wrap(middleware::DefaultHeaders::new().add((SERVER, name)))
        .wrap(middleware::from_fn(move |request, next| {
            let (draining, gate) = (draining.clone(), at_the_end.clone());
            async move { draining.pass(gate.routes(), request, next).await }
        }))
        .wrap(middleware::from_fn(exchange::layer))
        .wrap(middleware::from_fn(without_trailing_slash))
        .wrap(middleware::from_fn(vosk_at_the_root))
        .app_data(web::Data::new(api))
        // First: they may look like others, as `/v1/models/m:predict` does.
        .configure(|app| literally(app, health, web::get().to(admin::health)))
        .configure(|app| literally(app, predict, web::post().to(vertex::predict)))
        .configure(|app| {
            if with_console {
                console::routes(app);
            }
        })
        .configure(openapi::routes)
        .configure(asyncapi::routes)
        .configure(docs::routes)
        .configure(admin::routes)
        .configure(oip::routes)
        .configure(openai::routes)
        .configure(realtime::routes)
        .configure(vosk::routes)
        .configure(jobs::routes)
        .configure(vertex::routes)
        .configure(generate::routes)
        .configure(asr::routes)
        .configure(azure::routes)
        .default_service(web::to(no_such_route))
}

/// Some clients end the paths that they post to with a slash, which no such route here does.
async fn without_trailing_slash<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let trimmed = request.path().trim_end_matches('/').to_owned();
    if request.method() == Method::POST && !trimmed.is_empty() && trimmed.len() < request.path().len() {
        lead(&mut request, &trimmed);
    }
    next.call(request).await
}

/// Vosk's clients know a host and a port and no path, where a browser finds the console.
async fn vosk_at_the_root<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    if vosk::is_at_the_root(request.path(), request.headers()) {
        lead(&mut request, vosk::PATH);
    }
    next.call(request).await
}

/// To another path, with the same query.
fn lead(request: &mut ServiceRequest, path: &str) {
    let query = request.uri().query().map_or_else(String::new, |query| format!("?{query}"));
    if let Ok(uri) = format!("{path}{query}").parse::<Uri>() {
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
}

/// A route from the environment is text, whatever it holds: Vertex' own default has a colon in it.
fn literally(app: &mut web::ServiceConfig, path: Option<String>, route: actix_web::Route) {
    const SERVED_ALREADY: [&str; 2] = ["/health", "/predict"];
    if let Some(path) = path.filter(|path| !SERVED_ALREADY.contains(&path.as_str())) {
        app.service(web::resource(literal_pattern(&path)).route(route));
    }
}

/// `{` begins a variable in a route pattern; no Vertex route has one, and a bracketed character class takes it as text.
fn literal_pattern(path: &str) -> String {
    path.replace('{', "%7B").replace('}', "%7D")
}

/// What pages of these origins may do.
fn cors(origins: &[String]) -> Cors {
    let open = Cors::default()
        .allowed_methods([Method::GET, Method::HEAD, Method::POST, Method::DELETE])
        .allow_any_header()
        .expose_headers([
            header::RETRY_AFTER,
            request_id::HEADER,
            served::MODEL,
            served::FALLBACK,
            served::WATERMARK,
            SERVER,
        ])
        .max_age(3600);
    origins.iter().fold(open, |cors, origin| match origin.as_str() {
        "*" => cors.allow_any_origin().send_wildcard(),
        origin => cors.allowed_origin(origin),
    })
}

async fn no_such_route(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let message = format!("there is no {} {}; /docs lists the routes", request.method(), request.path());
    Problem::new(Kind::NotFound, message).answer(api.gate.routes().shape(request.path()))
}
