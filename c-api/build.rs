//! Gives the shared library the name under which programs ask for it when they start. Cargo calls the file
//! `libampoule_c.so`, because the Rust crate `ampoule` is another one.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libampoule.so");
    }
}
