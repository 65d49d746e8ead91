/**
 * \file wasmtime/component.h
 *
 * \brief Components: what the component model adds to modules.
 *
 * A component is compiled once (`wasmtime_component_new`), instantiated in
 * stores by a linker (`wasmtime_component_linker_instantiate`), and its
 * functions are looked up with `wasmtime_component_instance_get_func` and
 * called with `wasmtime_component_func_call`.
 *
 * ```c
 * wasmtime_component_export_index_t *index =
 *     wasmtime_component_get_export_index(component, NULL, "add", 3);
 * wasmtime_component_func_t add;
 * wasmtime_component_instance_get_func(&instance, context, index, &add);
 * wasmtime_component_val_t args[2] = {{.kind = WASMTIME_COMPONENT_U32},
 *                                     {.kind = WASMTIME_COMPONENT_U32}};
 * wasmtime_component_val_t sum = {.kind = WASMTIME_COMPONENT_BOOL};
 * error = wasmtime_component_func_call(&add, context, args, 2, &sum, 1);
 * ```
 */

#ifndef WASMTIME_COMPONENT_H
#define WASMTIME_COMPONENT_H

#include <wasmtime/component/component.h>
#include <wasmtime/component/func.h>
#include <wasmtime/component/instance.h>
#include <wasmtime/component/linker.h>
#include <wasmtime/component/types.h>
#include <wasmtime/component/val.h>

#endif // WASMTIME_COMPONENT_H
