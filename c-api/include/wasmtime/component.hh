/**
 * \file wasmtime/component.hh
 *
 * \brief Components: what the component model adds to modules, in the namespace
 * `wasmtime::component`.
 *
 * Some of its classes have the names of those for modules: `Func`, `Instance`,
 * `Linker`, `Val` and their types.
 *
 * ```cpp
 * using namespace wasmtime::component;
 * auto component = Component::compile(engine, text).unwrap();
 * Linker linker(engine);
 * auto instance = linker.instantiate(store, component).unwrap();
 * auto index = component.export_index(nullptr, "add").value();
 * auto add = instance.get_func(store, index).value();
 * std::vector<Val> args{uint32_t(1), uint32_t(2)};
 * std::vector<Val> results{false};
 * add.call(store, args, results).unwrap();
 * ```
 */

#ifndef WASMTIME_COMPONENT_HH
#define WASMTIME_COMPONENT_HH

#include <wasmtime/component/component.hh>
#include <wasmtime/component/func.hh>
#include <wasmtime/component/instance.hh>
#include <wasmtime/component/linker.hh>
#include <wasmtime/component/types.hh>
#include <wasmtime/component/val.hh>

#endif // WASMTIME_COMPONENT_HH
