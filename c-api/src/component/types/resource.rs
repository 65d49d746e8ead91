//! `wasmtime/component/types/resource.h`: which resource a handle stands for.

use ampoule_component::types::ResourceType;

/// `wasmtime_component_resource_type_t`.
pub type wasmtime_component_resource_type_t = ResourceType;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_resource_type_new_host(ty: u32) -> Box<wasmtime_component_resource_type_t> {
    Box::new(ResourceType::Host(ty))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_resource_type_clone(
    ty: &wasmtime_component_resource_type_t,
) -> Box<wasmtime_component_resource_type_t> {
    Box::new(*ty)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_resource_type_equal(
    a: &wasmtime_component_resource_type_t,
    b: &wasmtime_component_resource_type_t,
) -> bool {
    a == b
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_resource_type_delete(_resource: Option<Box<wasmtime_component_resource_type_t>>) {}
