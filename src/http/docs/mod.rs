//! The documentation of this version, as pages: the Markdown of `docs/` is inside the program, and becomes HTML when
//! somebody first looks.

mod frame;
mod render;
mod source;

use std::{collections::BTreeMap, sync::LazyLock};

use actix_web::{HttpRequest, HttpResponse, http::header, web};

use super::{asset::Asset, problem::Problem};
use crate::speech::Kind;

/// This folder's part of `/openapi.json`.
#[derive(utoipa::OpenApi)]
#[openapi(paths(first, page))]
pub(super) struct Docs;

/// What the pages look like: as the console does.
const STYLE: &str = concat!(include_str!("../console/page/style.css"), include_str!("style.css"));
const ICON: &str = include_str!("../console/page/icon.svg");

/// By the name that an address ends in.
static FILES: LazyLock<BTreeMap<&str, Asset>> = LazyLock::new(|| {
    let html = |name: &str, markdown: &str| Asset::new("page.html", frame::framed(name, &render::render(markdown)));
    let pages = source::PAGES.iter().map(|(name, markdown)| (*name, html(name, markdown)));
    let look = [("style.css", STYLE), ("icon.svg", ICON)].map(|(name, text)| (name, Asset::new(name, text)));
    pages.chain(look).collect()
});

pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/docs").route(web::get().to(without_slash)))
        .service(web::resource("/docs/").route(web::get().to(first)))
        .service(web::resource("/docs/{page}").route(web::get().to(page)));
}

/// The documentation.
#[utoipa::path(
    get, path = "/docs/", operation_id = "docs", tag = "documentation",
    responses((status = 200, description = "Its first page", body = String, content_type = "text/html"))
)]
async fn first(request: HttpRequest) -> HttpResponse {
    shown(source::FIRST, &request)
}

/// A page of the documentation, or what it looks by.
#[utoipa::path(
    get, path = "/docs/{page}", operation_id = "docs_page", tag = "documentation",
    params(("page" = String, Path, description = "Name of the page", example = "install")),
    responses((status = 200, description = "The page", content(
        (String = "text/html"), (String = "text/css"), (String = "image/svg+xml")
    )))
)]
async fn page(name: web::Path<String>, request: HttpRequest) -> HttpResponse {
    shown(&name, &request)
}

async fn without_slash() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "docs/")).finish()
}

/// Also by the name of its file, as links in the repository have it.
fn shown(name: &str, request: &HttpRequest) -> HttpResponse {
    match FILES.get(name.strip_suffix(".md").unwrap_or(name)) {
        Some(file) => file.answer(request),
        None => Problem::new(Kind::NotFound, format!("the documentation has no page {name:?}")).google(),
    }
}
