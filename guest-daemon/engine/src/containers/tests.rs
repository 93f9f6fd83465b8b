//! A container's life, over fakes.

mod ending;
mod files;
mod health;
mod life;
mod recovery;
mod restart;
mod seen;
mod streams;
