//! `ampoule/component.h`: components that are asynchronous.
//!
//! | | |
//! | --- | --- |
//! | [`calls`] | calls beside one another, and what lets them go on |
//! | [`ends`] | streams and futures |
//! | [`completions`] | host functions that answer later |
//! | [`plans`] | calls between C's memory and a guest's |

pub mod calls;
pub mod completions;
pub mod ends;
pub mod plans;
