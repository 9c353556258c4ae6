//! Texts that are spoken over a connection.

mod events;
mod request;
mod spoken;

pub(super) use self::{
    events::Ending,
    request::{Message, ResponseRequest},
    spoken::{Response, Spoken},
};
