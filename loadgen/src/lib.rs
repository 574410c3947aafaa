//! Load for the demo: what users do ([`plan`]), how fast ([`pace`]), the users themselves ([`user`]) and
//! what they saw ([`stats`]).

pub mod pace;
pub mod plan;
pub mod stats;
pub mod user;
