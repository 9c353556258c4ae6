//! WebSockets with somebody who speaks at the other end, whatever the protocol: who may open one, what keeps it alive, what
//! bounds it, and how it ends. What is said over it a protocol says by its [`Dialogue`].

mod connection;
mod described;
mod farewell;
mod handshake;
mod liveness;

pub(in crate::http) use self::{
    connection::Dialogue,
    described::{Channel, message},
    farewell::{Farewell, Misstep},
    handshake::{Opening, admit, open},
};
