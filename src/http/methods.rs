//! What holds for every route, whatever its method: `HEAD` is `GET` without the body, and a method that a path does not
//! have is told in the protocol's words.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    Error, HttpResponse,
    body::{BodySize, BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{ALLOW, HeaderValue},
    },
    middleware::Next,
};
use bytes::Bytes;

use super::{
    access::Routes,
    problem::{Problem, Shape},
};
use crate::speech::Kind;

/// The body that is not sent in answer to `HEAD`; its size is.
#[derive(Debug)]
pub(super) struct Unsent(BodySize);

/// The innermost layer: routes below it see a `GET` in place of a `HEAD`.
pub(super) async fn layer<B: MessageBody + 'static>(
    routes: &Routes,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<BoxBody, Unsent>>, Error> {
    let (shape, asked) = (routes.shape(request.path()), request.method().clone());
    if asked == Method::HEAD {
        request.head_mut().method = Method::GET;
    }
    let response = next.call(request).await?.map_into_boxed_body();
    let response = match response.headers().get(ALLOW).cloned() {
        Some(allowed) if response.status() == StatusCode::METHOD_NOT_ALLOWED => {
            response.into_response(not_allowed(&asked, &allowed, shape))
        }
        _ => response,
    };
    Ok(if asked == Method::HEAD {
        response.map_body(|_, body| EitherBody::right(Unsent(body.size())))
    } else {
        response.map_body(|_, body| EitherBody::left(body))
    })
}

/// `allowed`: the methods that the path has.
fn not_allowed(asked: &Method, allowed: &HeaderValue, shape: Shape) -> HttpResponse {
    let allowed = allowed.to_str().unwrap_or_default();
    let looks = allowed.split(", ").any(|method| method == "GET");
    let allowed = if looks { format!("{allowed}, HEAD") } else { allowed.to_owned() };
    let message = format!("{asked} is not taken here; {allowed} would be right");
    let mut response = Problem::new(Kind::WrongMethod, message).answer(shape);
    if let Ok(allowed) = HeaderValue::try_from(allowed) {
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

// === impl Unsent ===

impl MessageBody for Unsent {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        self.0
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(None)
    }
}
