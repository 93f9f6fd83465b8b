//! A container's life, over fakes.

mod ending;
mod files;
mod life;
mod recovery;
mod streams;
