//! A container's life, over fakes.

mod ending;
mod files;
mod health;
mod life;
mod logs;
mod recovery;
mod restart;
mod seen;
mod resources;
mod streams;
