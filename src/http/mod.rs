//! The protocols: parse, call `service`, render. A handler is those three lines; what a failure means has been said
//! below, and `problem` alone turns meaning into a status.

mod admin;
mod ask;
mod audio;
mod body;
mod draining;
mod form;
mod openai;
mod problem;
mod request_id;
mod sse;
mod vertex;

use actix_web::{HttpRequest, HttpResponse, dev::HttpServiceFactory, middleware, web};
use prometheus::Registry;

pub use draining::Draining;
pub use request_id::RequestId;

use self::problem::Problem;
use crate::{
    service::{Call, Service},
    speech::Kind,
};

/// What the HTTP surface needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Largest request body, in bytes.
    pub body_limit: usize,
    /// `AIP_HEALTH_ROUTE`, served literally beside `/health`.
    pub health_route: Option<String>,
    /// `AIP_PREDICT_ROUTE`, served literally beside `/predict`.
    pub predict_route: Option<String>,
    /// Whether `POST /download-models` and its like are open.
    pub admin: bool,
    /// A model that is busy without a step for so long makes `/health/live` fail.
    pub stall_timeout: std::time::Duration,
}

/// What every handler stands on. Cloned into each HTTP thread.
#[derive(Clone)]
pub struct Api {
    pub service: Service,
    pub registry: Registry,
    pub config: Config,
    pub draining: Draining,
}

/// Every route, under the layers that hold for all of them.
pub fn routes(api: Api) -> impl HttpServiceFactory {
    let (health, predict) = (api.config.health_route.clone(), api.config.predict_route.clone());
    web::scope("")
        .wrap(middleware::from_fn(request_id::layer))
        .app_data(web::Data::new(api))
        .configure(admin::routes)
        .configure(openai::routes)
        .configure(vertex::routes)
        .configure(|app| literally(app, health, web::get().to(admin::health)))
        .configure(|app| literally(app, predict, web::post().to(vertex::predict)))
        .default_service(web::to(no_such_route))
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

async fn no_such_route(request: HttpRequest) -> HttpResponse {
    let message = format!("there is no {} {}; README.md lists the routes", request.method(), request.path());
    Problem::new(Kind::NotFound, message).google()
}

/// What this protocol knows of a request beside what is asked.
fn call(
    request: &HttpRequest,
    protocol: &'static str,
    model: Option<String>,
    wait: Option<f64>,
) -> Result<Call, Problem> {
    let wait = match wait {
        Some(seconds) => Some(ask::seconds("wait", seconds)?),
        None => ask::preferred_wait(request),
    };
    Ok(Call { id: RequestId::of(request), protocol, model, wait })
}
