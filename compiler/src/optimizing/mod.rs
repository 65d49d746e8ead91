//! The optimizing tier: WebAssembly to Cranelift's IR, one file per group of operators.
