//! `wasi:http`: messages that a guest makes, requests that it answers, and requests that it sends.

mod handling;
mod messages;
mod reaching;
mod sending;
