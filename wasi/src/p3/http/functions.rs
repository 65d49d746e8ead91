//! The functions and resources of `wasi:http` 0.3, as tables.

use super::client;
use super::errors::HeaderError;
use super::messages::{self, Request, Response};
use super::options::{self, RequestOptions};
use crate::component::call::{later, row};
use crate::component::http::{FieldsEntry, fields};
use crate::component::{Function, Resource};

/// Every resource type of `wasi:http`.
pub static RESOURCES: &[Resource] = &[
    Resource::of::<FieldsEntry>("wasi:http/types"),
    Resource::of::<Request>("wasi:http/types"),
    Resource::of::<RequestOptions>("wasi:http/types"),
    Resource::of::<Response>("wasi:http/types"),
];

/// Every function of 0.3.2, in the order of the WIT texts.
#[rustfmt::skip] // One function, one line.
pub static FUNCTIONS: &[Function] = &[
    row!("wasi:http/types", "[constructor]fields", fields::new),
    row!("wasi:http/types", "[static]fields.from-list", fields::from_list::<HeaderError>),
    row!("wasi:http/types", "[method]fields.get", fields::get),
    row!("wasi:http/types", "[method]fields.has", fields::has),
    row!("wasi:http/types", "[method]fields.set", fields::set::<HeaderError>),
    row!("wasi:http/types", "[method]fields.delete", fields::delete::<HeaderError>),
    row!("wasi:http/types", "[method]fields.get-and-delete", fields::get_and_delete::<HeaderError>),
    row!("wasi:http/types", "[method]fields.append", fields::append::<HeaderError>),
    row!("wasi:http/types", "[method]fields.copy-all", fields::entries),
    row!("wasi:http/types", "[method]fields.clone", fields::clone),
    row!("wasi:http/types", "[static]request.new", messages::new_request),
    row!("wasi:http/types", "[method]request.get-method", messages::get_method),
    row!("wasi:http/types", "[method]request.set-method", messages::set_method),
    row!("wasi:http/types", "[method]request.get-path-with-query", messages::get_path),
    row!("wasi:http/types", "[method]request.set-path-with-query", messages::set_path),
    row!("wasi:http/types", "[method]request.get-scheme", messages::get_scheme),
    row!("wasi:http/types", "[method]request.set-scheme", messages::set_scheme),
    row!("wasi:http/types", "[method]request.get-authority", messages::get_authority),
    row!("wasi:http/types", "[method]request.set-authority", messages::set_authority),
    row!("wasi:http/types", "[method]request.get-options", messages::get_options),
    row!("wasi:http/types", "[method]request.get-headers", messages::request_headers),
    row!("wasi:http/types", "[static]request.consume-body", messages::consume_request),
    row!("wasi:http/types", "[constructor]request-options", options::new),
    row!("wasi:http/types", "[method]request-options.get-connect-timeout", options::get_connect),
    row!("wasi:http/types", "[method]request-options.set-connect-timeout", options::set_connect),
    row!("wasi:http/types", "[method]request-options.get-first-byte-timeout", options::get_first_byte),
    row!("wasi:http/types", "[method]request-options.set-first-byte-timeout", options::set_first_byte),
    row!("wasi:http/types", "[method]request-options.get-between-bytes-timeout", options::get_between_bytes),
    row!("wasi:http/types", "[method]request-options.set-between-bytes-timeout", options::set_between_bytes),
    row!("wasi:http/types", "[method]request-options.clone", options::clone),
    row!("wasi:http/types", "[static]response.new", messages::new_response),
    row!("wasi:http/types", "[method]response.get-status-code", messages::get_status),
    row!("wasi:http/types", "[method]response.set-status-code", messages::set_status),
    row!("wasi:http/types", "[method]response.get-headers", messages::response_headers),
    row!("wasi:http/types", "[static]response.consume-body", messages::consume_response),
    later!("wasi:http/handler", "handle", client::send),
    later!("wasi:http/client", "send", client::send),
];
