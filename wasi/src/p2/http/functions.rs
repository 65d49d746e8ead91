//! The functions and resources of `wasi:http` 0.2, as tables.

use super::values::HeaderError;
use super::{bodies, outgoing, serving, values};
use crate::component::call::row;
use crate::component::http::fields;
use crate::component::{Function, Resource};

/// Every resource type of `wasi:http`.
pub static RESOURCES: &[Resource] = &[
    Resource::of::<fields::FieldsEntry>("wasi:http/types"),
    Resource::of::<serving::IncomingRequest>("wasi:http/types"),
    Resource::of::<outgoing::OutgoingRequest>("wasi:http/types"),
    Resource::of::<outgoing::RequestOptions>("wasi:http/types"),
    Resource::of::<serving::ResponseOutparam>("wasi:http/types"),
    Resource::of::<outgoing::IncomingResponse>("wasi:http/types"),
    Resource::of::<bodies::IncomingBodyEntry>("wasi:http/types"),
    Resource::of::<bodies::FutureTrailers>("wasi:http/types"),
    Resource::of::<serving::OutgoingResponse>("wasi:http/types"),
    Resource::of::<bodies::OutgoingBodyEntry>("wasi:http/types"),
    Resource::of::<outgoing::FutureIncomingResponse>("wasi:http/types"),
];

/// Every function of 0.2.12 that isn't unstable, in the order of the WIT texts.
#[rustfmt::skip] // One function, one line.
pub static FUNCTIONS: &[Function] = &[
    row!("wasi:http/types", "http-error-code", values::http_error_code),
    row!("wasi:http/types", "[constructor]fields", fields::new),
    row!("wasi:http/types", "[static]fields.from-list", fields::from_list::<HeaderError>),
    row!("wasi:http/types", "[method]fields.get", fields::get),
    row!("wasi:http/types", "[method]fields.has", fields::has),
    row!("wasi:http/types", "[method]fields.set", fields::set::<HeaderError>),
    row!("wasi:http/types", "[method]fields.delete", fields::delete::<HeaderError>),
    row!("wasi:http/types", "[method]fields.append", fields::append::<HeaderError>),
    row!("wasi:http/types", "[method]fields.entries", fields::entries),
    row!("wasi:http/types", "[method]fields.clone", fields::clone),
    row!("wasi:http/types", "[method]incoming-request.method", serving::method),
    row!("wasi:http/types", "[method]incoming-request.path-with-query", serving::path_with_query),
    row!("wasi:http/types", "[method]incoming-request.scheme", serving::scheme),
    row!("wasi:http/types", "[method]incoming-request.authority", serving::authority),
    row!("wasi:http/types", "[method]incoming-request.headers", serving::request_headers),
    row!("wasi:http/types", "[method]incoming-request.consume", serving::consume),
    row!("wasi:http/types", "[constructor]outgoing-request", outgoing::new),
    row!("wasi:http/types", "[method]outgoing-request.body", outgoing::body),
    row!("wasi:http/types", "[method]outgoing-request.method", outgoing::method),
    row!("wasi:http/types", "[method]outgoing-request.set-method", outgoing::set_method),
    row!("wasi:http/types", "[method]outgoing-request.path-with-query", outgoing::path_with_query),
    row!("wasi:http/types", "[method]outgoing-request.set-path-with-query", outgoing::set_path_with_query),
    row!("wasi:http/types", "[method]outgoing-request.scheme", outgoing::scheme),
    row!("wasi:http/types", "[method]outgoing-request.set-scheme", outgoing::set_scheme),
    row!("wasi:http/types", "[method]outgoing-request.authority", outgoing::authority),
    row!("wasi:http/types", "[method]outgoing-request.set-authority", outgoing::set_authority),
    row!("wasi:http/types", "[method]outgoing-request.headers", outgoing::headers),
    row!("wasi:http/types", "[constructor]request-options", outgoing::new_options),
    row!("wasi:http/types", "[method]request-options.connect-timeout", outgoing::connect_timeout),
    row!("wasi:http/types", "[method]request-options.set-connect-timeout", outgoing::set_connect_timeout),
    row!("wasi:http/types", "[method]request-options.first-byte-timeout", outgoing::first_byte_timeout),
    row!("wasi:http/types", "[method]request-options.set-first-byte-timeout", outgoing::set_first_byte_timeout),
    row!("wasi:http/types", "[method]request-options.between-bytes-timeout", outgoing::between_bytes_timeout),
    row!("wasi:http/types", "[method]request-options.set-between-bytes-timeout", outgoing::set_between_bytes_timeout),
    row!("wasi:http/types", "[static]response-outparam.set", serving::set_response),
    row!("wasi:http/types", "[method]incoming-response.status", outgoing::status),
    row!("wasi:http/types", "[method]incoming-response.headers", outgoing::response_headers),
    row!("wasi:http/types", "[method]incoming-response.consume", outgoing::consume),
    row!("wasi:http/types", "[method]incoming-body.stream", bodies::stream),
    row!("wasi:http/types", "[static]incoming-body.finish", bodies::finish_incoming),
    row!("wasi:http/types", "[method]future-trailers.subscribe", bodies::subscribe_trailers),
    row!("wasi:http/types", "[method]future-trailers.get", bodies::get_trailers),
    row!("wasi:http/types", "[constructor]outgoing-response", serving::new_response),
    row!("wasi:http/types", "[method]outgoing-response.status-code", serving::status_code),
    row!("wasi:http/types", "[method]outgoing-response.set-status-code", serving::set_status_code),
    row!("wasi:http/types", "[method]outgoing-response.headers", serving::response_headers),
    row!("wasi:http/types", "[method]outgoing-response.body", serving::response_body),
    row!("wasi:http/types", "[method]outgoing-body.write", bodies::write),
    row!("wasi:http/types", "[static]outgoing-body.finish", bodies::finish_outgoing),
    row!("wasi:http/types", "[method]future-incoming-response.subscribe", outgoing::subscribe),
    row!("wasi:http/types", "[method]future-incoming-response.get", outgoing::get),
    row!("wasi:http/outgoing-handler", "handle", outgoing::handle),
];
