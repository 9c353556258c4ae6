//! The page at `/`: what the server has, hears and says, for people. It is files that are inside the program and asks
//! the routes that programs ask, with the key of whoever looks; it knows nothing by itself.

mod failure;
mod files;

use actix_web::{HttpRequest, HttpResponse, web};

use super::problem::Problem;
use crate::speech::Kind;

pub(super) use failure::layer;

/// This folder's part of `/openapi.json`.
#[derive(utoipa::OpenApi)]
#[openapi(paths(page, file))]
pub(super) struct Docs;

pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/").route(web::get().to(page)))
        .service(web::resource("/console/{file}").route(web::get().to(file)));
}

/// A page to look, listen and operate.
#[utoipa::path(
    get, path = "/", operation_id = "console", tag = "documentation",
    responses((status = 200, description = "The page", body = String, content_type = "text/html"))
)]
async fn page(request: HttpRequest) -> HttpResponse {
    shown("index.html", &request)
}

/// A file that the page needs.
#[utoipa::path(
    get, path = "/console/{file}", operation_id = "console_file", tag = "documentation",
    params(("file" = String, Path, description = "Name of the file", example = "style.css")),
    responses((status = 200, description = "The file", content(
        (String = "text/html"), (String = "text/css"), (String = "text/javascript"), (String = "image/svg+xml")
    )))
)]
async fn file(name: web::Path<String>, request: HttpRequest) -> HttpResponse {
    shown(&name, &request)
}

fn shown(name: &str, request: &HttpRequest) -> HttpResponse {
    match files::find(name) {
        Some(asset) => asset.answer(request),
        None => Problem::new(Kind::NotFound, format!("the page has no file {name:?}")).google(),
    }
}
