//! The types of functions, with how their values are passed.

use crate::types::layout::{CoreType, Flat, Layout, MAX_FLAT, MAX_FLAT_ASYNC, MAX_FLAT_RESULTS};
use crate::types::val::{Extent, ResourceType, ValType};

/// The type of a function. Equality is that of the parameters' names and types and of the result.
#[derive(Clone, Debug)]
pub struct FuncType {
    params: Box<[(Box<str>, ValType)]>,
    result: Option<ValType>,
    is_async: bool,
    /// The core values of the parameters; `None` where they are passed in memory.
    pub(crate) flat_params: Option<Box<[CoreType]>>,
    /// The core values of the result; `None` where it is passed in memory.
    pub(crate) flat_result: Option<Box<[CoreType]>>,
    /// As [`FuncType::flat_params`], of a function that is lowered asynchronously.
    pub(crate) flat_async_params: Option<Box<[CoreType]>>,
    /// As [`FuncType::flat_result`], for `task.return`, which takes the result as its parameters.
    pub(crate) flat_returned: Option<Box<[CoreType]>>,
    /// The parameters as a tuple in memory.
    pub(crate) params_layout: Layout,
    pub(crate) param_offsets: Box<[u32]>,
    /// Whether there are handles among the parameters, or in the result.
    pub(crate) has_handles: bool,
    /// Of the parameters and the result together.
    pub(crate) extent: Extent,
}

impl FuncType {
    pub(crate) fn new(params: Box<[(Box<str>, ValType)]>, result: Option<ValType>, is_async: bool) -> Self {
        let types = || params.iter().map(|(_, ty)| ty);
        let (params_layout, param_offsets) = Layout::fields(types().map(ValType::layout));
        let extent = Extent::around(types().chain(&result));
        Self {
            flat_params: Flat::of(types(), MAX_FLAT),
            flat_result: Flat::of(&result, MAX_FLAT_RESULTS),
            flat_async_params: Flat::of(types(), MAX_FLAT_ASYNC),
            flat_returned: Flat::of(&result, MAX_FLAT),
            params_layout,
            param_offsets,
            has_handles: extent.has_handles,
            extent,
            params,
            result,
            is_async,
        }
    }

    /// Names and types of the parameters.
    pub fn params(&self) -> &[(Box<str>, ValType)] {
        &self.params
    }

    /// The type of the result, where there is one.
    pub fn result(&self) -> Option<&ValType> {
        self.result.as_ref()
    }

    /// Whether the function is declared `async`.
    pub fn is_async(&self) -> bool {
        self.is_async
    }

    /// The core type of the function that is lifted to this one.
    pub(crate) fn core_lifted(&self) -> (Vec<CoreType>, Vec<CoreType>) {
        let params = self.flat_params.as_deref().unwrap_or(&[CoreType::I32]);
        let results = self.flat_result.as_deref().unwrap_or(&[CoreType::I32]);
        (params.to_vec(), results.to_vec())
    }

    /// The core type of what this one is lowered to: a result in memory goes to an address that is the last parameter.
    pub(crate) fn core_lowered(&self) -> (Vec<CoreType>, Vec<CoreType>) {
        let (mut params, _) = self.core_lifted();
        match &self.flat_result {
            Some(flat) => (params, flat.to_vec()),
            None => {
                params.push(CoreType::I32);
                (params, Vec::new())
            }
        }
    }

    /// The core type of what this one is lowered to asynchronously: a result goes to an address, and the answer is the state of the call.
    pub(crate) fn core_lowered_async(&self) -> (Vec<CoreType>, Vec<CoreType>) {
        let mut params = self.flat_async_params.as_deref().unwrap_or(&[CoreType::I32]).to_vec();
        params.extend(self.result.as_ref().map(|_| CoreType::I32));
        (params, vec![CoreType::I32])
    }

    /// The same type with its resources put in place of those of a scope.
    pub(crate) fn with_resources(&self, put: &dyn Fn(ResourceType) -> ResourceType) -> FuncType {
        let params = self.params.iter().map(|(name, ty)| (name.clone(), ty.with_resources(put))).collect();
        FuncType::new(params, self.result.as_ref().map(|ty| ty.with_resources(put)), self.is_async)
    }
}

impl PartialEq for FuncType {
    fn eq(&self, other: &Self) -> bool {
        self.params == other.params && self.result == other.result && self.is_async == other.is_async
    }
}

impl Eq for FuncType {}
