//! A container's life, over fakes.

mod ending;
mod life;
mod recovery;
mod streams;
